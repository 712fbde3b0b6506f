//! How figures are written: three digits, the unit that suits, no false precision.
//!
//! It does not know what the figures mean.

use std::fmt;

/// A share from 0 to 1, in as many digits as it deserves.
pub(crate) struct Percent(pub(crate) f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        match percent {
            // Never "100 %" for something that missed.
            _ if percent < 100.0 && percent > 99.9 => f.write_str("99.9 %"),
            _ if percent > 0.0 && percent < 0.1 => f.write_str("0.1 %"),
            _ if percent < 9.95 || percent > 99.05 && percent < 100.0 => {
                write!(f, "{percent:.1} %")
            }
            _ => write!(f, "{percent:.0} %"),
        }
    }
}

/// A time in the unit that suits it.
pub(crate) struct Nanos(pub(crate) f64);

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0.abs() {
            ns if ns < 999.5 => (self.0, "ns"),
            ns if ns < 999.5e3 => (self.0 / 1e3, "µs"),
            ns if ns < 999.5e6 => (self.0 / 1e6, "ms"),
            _ => (self.0 / 1e9, "s"),
        };
        match value.abs() {
            size if size < 9.995 => write!(f, "{value:.2} {unit}"),
            size if size < 99.95 => write!(f, "{value:.1} {unit}"),
            _ => write!(f, "{value:.0} {unit}"),
        }
    }
}

/// Bytes, in binary units.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            bytes @ ..1024 => return write!(f, "{bytes} B"),
            bytes if bytes < 1000 << 10 => (bytes as f64 / 1024.0, "KiB"),
            bytes if bytes < 1000 << 20 => (bytes as f64 / 1048576.0, "MiB"),
            bytes => (bytes as f64 / 1073741824.0, "GiB"),
        };
        match value {
            size if size < 9.995 => write!(f, "{value:.2} {unit}"),
            size if size < 99.95 => write!(f, "{value:.1} {unit}"),
            _ => write!(f, "{value:.0} {unit}"),
        }
    }
}

/// Bytes where the system may not have said.
pub(crate) fn bytes_or_dash(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "not measured".into(), |bytes| Bytes(bytes).to_string())
}

/// A count per unit: whole numbers in groups of three digits, small ones with a fraction.
pub(crate) struct Count(pub(crate) f64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thousandths = (self.0 * 1000.0).round();
        if thousandths < 1.0 {
            return f.write_str(if self.0 == 0.0 { "0" } else { "<0.001" });
        }
        if thousandths < 9_995.0 && thousandths % 1000.0 != 0.0 {
            return write!(f, "{:.3}", self.0);
        }
        let digits = format!("{:.0}", self.0);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index) % 3 == 0 {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// Today in UTC, `2026-01-31 12:34 UTC`, from seconds since 1970 (H. Hinnant, "chrono-compatible
/// low-level date algorithms", `civil_from_days`).
pub(crate) fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}
