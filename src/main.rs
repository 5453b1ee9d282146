//! Standin: arguments in, exit status out.

fn main() {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "guard") {
        std::process::exit(standin::service::guard::main(std::io::stdin(), std::io::stdout()));
    }
}
