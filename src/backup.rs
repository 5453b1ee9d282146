//! The archive of `standin backup`: a tar of the instance's files, packed with zstd, encrypted with a password in the format of
//! age (age-encryption.org/v1, passphrase recipient), so that `age -d` opens it too. Where its parts come from and go to is the
//! node's business.

pub mod archive;
pub mod crypt;
