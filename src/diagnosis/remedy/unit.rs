//! Settings of systemd units.

use std::fmt::Write as _;

use crate::shell::{here_document, operand, word};

/// Settings of a systemd unit. [`drop_in`](Self::drop_in) is text for a drop-in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct UnitSettings {
    /// The unit, if it is known: `build.service`.
    pub unit: Option<String>,
    /// A user's own manager runs it (`systemctl --user`), instead of the system's.
    pub user: bool,
    /// `[Service]` settings, in order: some add to what an earlier one set.
    pub settings: Vec<(String, String)>,
}

impl UnitSettings {
    /// A drop-in file of the unit (`systemd.unit(5)`), to be put below `/etc/systemd/system/UNIT.d`, or
    /// `~/.config/systemd/user/UNIT.d` if it is a [user](Self::user)'s.
    ///
    /// ```
    /// use bwrap_launch::diagnosis::{Action, Symptom, diagnose};
    /// use bwrap_launch::host::{CapabilitySet, Fact, Host, Platform, Sighting};
    /// let mut host = Host::default();
    /// host.platforms = Fact::Present(vec![Sighting::new(Platform::SystemdUnit, "the control group /system.slice/build.service")]);
    /// host.process.uid = Fact::Present(0);
    /// host.process.effective = Fact::Present(CapabilitySet(0));
    /// let symptom = Symptom::from_text(b"bwrap: setting up uid map: Operation not permitted");
    /// let diagnosis = diagnose(&symptom, &host, None);
    /// let Action::Unit(unit) = &diagnosis.remedy().unwrap().action else { panic!() };
    /// assert_eq!(unit.drop_in(), "[Service]\nUser=1000\n");
    /// ```
    #[must_use]
    pub fn drop_in(&self) -> String {
        self.settings.iter().fold("[Service]\n".to_owned(), |mut text, (name, value)| {
            let _ = writeln!(text, "{name}={value}");
            text
        })
    }

    /// Written, and in force.
    pub(super) fn typed(&self) -> String {
        let unit = self.unit.as_deref().unwrap_or("UNIT");
        let (place, manager) = if self.user {
            ("~/.config/systemd/user", "systemctl --user")
        } else {
            ("/etc/systemd/system", "systemctl")
        };
        let directory = format!("{place}/{}.d", word(unit));
        // named after what it is about: another remedy for the same unit must not overwrite it
        let about = self.settings.first().map_or("settings", |(name, _)| name);
        let write = here_document(&format!("{directory}/bwrap-{about}.conf"), &self.drop_in());
        format!(
            "mkdir -p {directory}\n{write}{manager} daemon-reload\n{manager} restart {}   # ends what runs in it\n",
            operand(unit)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_no_option() {
        let unit = |name: &str| {
            let settings = vec![("User".into(), "1000".into())];
            UnitSettings { unit: Some(name.into()), user: false, settings }.typed()
        };
        assert!(unit("-H.service").contains("systemctl restart -- -H.service "));
        assert!(unit("a b.service").contains("mkdir -p /etc/systemd/system/'a b.service'.d\n"));
    }
}
