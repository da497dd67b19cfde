//! Days since 2000-01-01 against years, months and days.

use super::DAY_US;

/// A moment as people write it. Years are astronomical: 0 is 1 BC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Civil {
    /// Astronomical year.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// Microseconds since midnight.
    pub time: i64,
}

/// Days from 0000-03-01 to 2000-01-01.
const EPOCH_SHIFT: i64 = 730_425;

/// The days since 2000-01-01 of a date; months from 1, days from 1 (both may overflow their unit).
///
/// A year is taken to begin in March, so that the leap day is its last (Hinnant, "chrono-compatible
/// low-level date algorithms").
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let month = i64::from(month);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - EPOCH_SHIFT
}

/// Year, month and day of a date in days since 2000-01-01.
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + EPOCH_SHIFT;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u32;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// Whether a year has a leap day.
pub fn is_leap_year(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// How many days a month has; 31 for what is no month.
pub fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The weekday of a date, 0 is Sunday.
pub fn weekday(days: i64) -> u32 {
    // 2000-01-01 was a Saturday.
    (days + 6).rem_euclid(7) as u32
}

/// The days since 2000-01-01 of the Monday that begins an ISO year's first week.
pub fn iso_year_start(year: i64) -> i64 {
    let fourth = days_from_civil(year, 1, 4);
    fourth - i64::from((weekday(fourth) + 6) % 7)
}

/// The ISO year and week of a date.
pub fn iso_week(days: i64) -> (i64, i64) {
    let (year, ..) = civil_from_days(days);
    let mut iso_year = year;
    let mut start = iso_year_start(iso_year);
    if days < start {
        iso_year -= 1;
        start = iso_year_start(iso_year);
    } else if days >= iso_year_start(year + 1) {
        iso_year = year + 1;
        start = iso_year_start(iso_year);
    }
    (iso_year, (days - start) / 7 + 1)
}

impl Civil {
    /// The moment `micros` microseconds after 2000-01-01 00:00.
    pub fn from_micros(micros: i64) -> Civil {
        let (year, month, day) = civil_from_days(micros.div_euclid(DAY_US));
        Civil { year, month, day, time: micros.rem_euclid(DAY_US) }
    }

    /// Days since 2000-01-01, the time left out.
    pub fn days(&self) -> i64 {
        days_from_civil(self.year, self.month, self.day)
    }

    /// Microseconds since 2000-01-01 00:00, when that is a timestamp that the type has.
    pub fn to_micros(&self) -> Option<i64> {
        let micros = self.days().checked_mul(DAY_US)?.checked_add(self.time)?;
        super::is_valid_timestamp(micros).then_some(micros)
    }
}
