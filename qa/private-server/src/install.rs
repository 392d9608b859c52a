//! The command that installs a server program on this system. It is only said here, never run.

use std::fs;
use std::os::unix::fs::MetadataExt;

/// The command that installs a suitable server, for a message. Packages that do not start a service are preferred.
#[must_use]
pub fn install_command() -> String {
    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if cfg!(target_os = "macos") {
        return "brew install mariadb".to_owned();
    }
    // Small systems have no sudo, and root needs none.
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let command = linux_command(&os_release);
    if is_root { command.replace("sudo ", "") } else { command.to_owned() }
}

fn linux_command(os_release: &str) -> &'static str {
    let ids: Vec<&str> = os_release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or(line.strip_prefix("ID_LIKE=")))
        .flat_map(|value| value.trim_matches('"').split_whitespace())
        .collect();
    let is = |id: &str| ids.contains(&id);
    if is("debian") || is("ubuntu") {
        "sudo apt-get update && sudo apt-get install --no-install-recommends mariadb-server-core mariadb-client-core"
    } else if is("fedora") || is("rhel") {
        "sudo dnf install mariadb-server"
    } else if is("alpine") {
        "sudo apk add mariadb mariadb-client"
    } else if is("arch") {
        "sudo pacman -S mariadb"
    } else if is("suse") || is("opensuse") {
        "sudo zypper install mariadb"
    } else {
        "install MariaDB or MySQL with the package manager of this system"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_package_manager_of_the_system_or_of_its_parent() {
        assert!(linux_command("NAME=\"Debian\"\nID=debian\n").contains("apt-get"));
        assert!(linux_command("ID=linuxmint\nID_LIKE=\"ubuntu debian\"").contains("apt-get"));
        assert!(linux_command("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"").contains("dnf"));
        assert!(linux_command("").contains("package manager"));
    }
}
