//! The Go side: finds a toolchain, builds `benches/go` once, runs it.
//!
//! Everything that Go writes goes into cargo's target folder. The toolchain is the one on the path
//! (GOTOOLCHAIN=local): nothing is fetched.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The first version that is compared with: `sync.Pool` has been the same since.
const VERSION_MIN: (u32, u32) = (1, 24);

/// The program of `benches/go`, ready to run.
#[derive(Debug)]
pub struct GoProgram {
    path: PathBuf,
    /// What `go version` says.
    pub version: String,
}

/// Why a row has no Go in it; to be printed.
pub type Missing = String;

impl GoProgram {
    /// Builds the program.
    ///
    /// # Errors
    /// When there is no `go` on the path, when it is too old, and when the build fails.
    pub fn build() -> Result<GoProgram, Missing> {
        let version = text_of(
            Command::new("go")
                .arg("version")
                .env("GOTOOLCHAIN", "local"),
        )
        .map_err(|error| format!("no Go: {error}"))?;
        match parse_version(&version) {
            Some(found) if found >= VERSION_MIN => {}
            _ => return Err(format!("{version}: 1.24 or later is needed")),
        }
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let folder = program.with_file_name("go-program");
        let path = folder.join("syncpool");
        let mut build = Command::new("go");
        build
            .args(["build", "-o"])
            .arg(&path)
            .arg(".")
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("go"))
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-mod=mod")
            .env("GOPROXY", "off")
            .env("GOCACHE", folder.join("cache"))
            .env("GOPATH", folder.join("path"));
        text_of(&mut build).map_err(|error| format!("go build: {error}"))?;
        Ok(GoProgram { path, version })
    }

    /// Runs it and returns what it printed.
    ///
    /// # Panics
    /// When it fails: it is ours.
    pub fn run(&self, arguments: &[String]) -> String {
        let output = text_of(Command::new(&self.path).args(arguments));
        output.unwrap_or_else(|error| panic!("syncpool {arguments:?}: {error}"))
    }
}

/// What a command prints, or what it complains about.
pub fn text_of(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{}: {}", output.status, text(&output.stderr)))
    }
}

/// Major and minor of `go version go1.24.1 linux/amd64`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let numbers = text.split_whitespace().nth(2)?.strip_prefix("go")?;
    let mut parts = numbers.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn versions() {
        let version = |text| parse_version(&format!("go version {text} linux/amd64"));
        assert_eq!(version("go1.24"), Some((1, 24)));
        assert_eq!(version("go1.27.3"), Some((1, 27)));
        assert_eq!(version("go1.25rc1"), Some((1, 25)));
        assert_eq!(version("devel"), None);
        assert_eq!(parse_version("go"), None);
    }
}
