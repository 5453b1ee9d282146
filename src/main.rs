//! Arguments in, exit status out.

fn main() -> std::process::ExitCode {
    standin::cli::main()
}
