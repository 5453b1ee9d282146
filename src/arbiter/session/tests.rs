use bytes::Bytes;

use super::*;

fn read(status: u16, body: &str) -> Result<Value, CallError> {
    understood(&Response { status, body: Bytes::copy_from_slice(body.as_bytes()) })
}

/// What etcd 3.4 says, letter by letter: a trailer of the gateway stands behind an error.
#[test]
fn errors_of_etcd_are_understood() {
    let old = "{\"error\":\"etcdserver: requested lease not found\",\"message\":\"etcdserver: requested lease not found\",\
               \"code\":5}Grpc-Trailer-Content-Type: application/grpc";
    let newer = "{\"code\":5, \"message\":\"etcdserver: requested lease not found\", \"details\":[]}";
    let in_stream =
        "{\"error\":{\"grpc_code\":5,\"http_code\":404,\"message\":\"etcdserver: requested lease not found\"}}\n";
    for (status, body) in [(404, old), (404, newer), (200, in_stream)] {
        let Err(CallError::Refused { code, message }) = read(status, body) else { panic!("{body}") };
        assert_eq!((code, message.as_str()), (5, "etcdserver: requested lease not found"));
    }
    assert!(read(200, "{\"header\":{}}").is_ok());
    assert!(read(200, "{\"result\":{}}\n{\"result\":{}}\n").is_ok());
    for (status, body) in
        [(500, "{}"), (502, "<html>"), (200, ""), (200, "[]"), (200, "{\"error\":7}"), (404, "{\"code\":5}")]
    {
        assert!(matches!(read(status, body), Err(CallError::Failed(Failure::Endpoint(_)))), "{body}");
    }
}

/// spec 9.4: neither too open nor too large, and the line end of an editor is none of the password.
#[test]
fn a_password_file_is_read_as_people_write_it() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("p");
    files::write_private(&path, b" secret word \r\n").unwrap();
    assert_eq!(*password(&path).unwrap(), " secret word ");
    files::write_private(&path, &[b'x'; 5_000]).unwrap();
    assert!(password(&path).unwrap_err().contains("larger than"));
    files::write_private(&path, &[0xff, 0xfe]).unwrap();
    assert!(password(&path).unwrap_err().contains("is no text"));
}
