//! How to install a server program, for messages.

/// Packages with a suitable server, by package manager. Those that start no service are preferred.
#[must_use]
pub fn install_command() -> &'static str {
    if cfg!(target_os = "macos") {
        "brew install mariadb"
    } else {
        "apt-get install --no-install-recommends mariadb-server-core mariadb-client-core (Debian, Ubuntu), dnf install \
         mariadb-server (Fedora), apk add mariadb mariadb-client (Alpine), pacman -S mariadb (Arch), or zypper install \
         mariadb (SUSE)"
    }
}
