//! Extracts two files from the Swagger UI release as gzip files, which `src/docs.rs` embeds in the program.

use std::error::Error;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::{env, fs};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::read::ZipFile;
use zip::{CompressionMethod, ZipArchive};

const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; cargo sets it for build scripts")?);
    let mut release = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for file in FILES {
        let suffix = format!("/dist/{file}");
        let index = release.file_names_raw().position(|name| name.ends_with(suffix.as_bytes()));
        let index = index.ok_or_else(|| format!("the Swagger UI release does not contain {suffix}"))?;
        let gzip = gzip(release.by_index_raw(index)?).map_err(|error| format!("{file}: {error}"))?;
        fs::write(out.join(format!("{file}.gz")), gzip)?;
    }
    Ok(())
}

/// Converts a zip entry to a gzip file without recompression: both formats wrap the same DEFLATE stream in different
/// headers and trailers (RFC 1952).
fn gzip(mut entry: ZipFile<'_, Cursor<&[u8]>>) -> Result<Vec<u8>, Box<dyn Error>> {
    const DEFLATE: u8 = 8;
    const UNKNOWN_SYSTEM: u8 = 255;
    if entry.compression() != CompressionMethod::DEFLATE {
        return Err("expected a file compressed by DEFLATE".into());
    }
    let mut gzip = vec![0x1f, 0x8b, DEFLATE, 0, 0, 0, 0, 0, 0, UNKNOWN_SYSTEM];
    entry.read_to_end(&mut gzip)?;
    gzip.extend(entry.crc32().to_le_bytes());
    gzip.extend(u32::try_from(entry.size())?.to_le_bytes());
    Ok(gzip)
}
