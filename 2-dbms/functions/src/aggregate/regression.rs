//! `corr`, `covar_pop`, `covar_samp` and `regr_...`: sums over pairs by Youngs and Cramer's method, as PostgreSQL keeps them
//! (`float8_regr_accum`).

use tuplix_types::{Result, SqlError, Value, sqlstate};

use super::{AggregateState, Code, Table, mixed_up};
use crate::CallContext;
use crate::builtin::args::float;

/// Number of pairs and sums over them, of x the second argument and y the first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pairs {
    count: f64,
    x: f64,
    xx: f64,
    y: f64,
    yy: f64,
    xy: f64,
}

impl Pairs {
    fn add(&mut self, y: f64, x: f64) -> Result<()> {
        let before = *self;
        self.count += 1.0;
        self.x += x;
        self.y += y;
        if before.count == 0.0 {
            if !x.is_finite() {
                (self.xx, self.xy) = (f64::NAN, f64::NAN);
            }
            if !y.is_finite() {
                (self.yy, self.xy) = (f64::NAN, f64::NAN);
            }
            return Ok(());
        }
        let (of_x, of_y) = (x * self.count - self.x, y * self.count - self.y);
        let scale = 1.0 / (self.count * before.count);
        self.xx += of_x * of_x * scale;
        self.yy += of_y * of_y * scale;
        self.xy += of_x * of_y * scale;
        let finite_x = !before.x.is_infinite() && !x.is_infinite();
        let finite_y = !before.y.is_infinite() && !y.is_infinite();
        if ((self.x.is_infinite() || self.xx.is_infinite()) && finite_x)
            || ((self.y.is_infinite() || self.yy.is_infinite()) && finite_y)
            || (self.xy.is_infinite() && finite_x && finite_y)
        {
            let message = "value out of range: overflow";
            return Err(SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, message));
        }
        for sum in [&mut self.xx, &mut self.yy, &mut self.xy] {
            if sum.is_infinite() {
                *sum = f64::NAN;
            }
        }
        Ok(())
    }
}

fn step(state: &mut AggregateState, _: &mut CallContext<'_>, args: &[Value]) -> Result<()> {
    if args.iter().any(Value::is_null) {
        return Ok(());
    }
    if matches!(state, AggregateState::Empty) {
        *state = AggregateState::Regression(Pairs::default());
    }
    let AggregateState::Regression(pairs) = state else { return Err(mixed_up()) };
    pairs.add(float(args, 0)?, float(args, 1)?)
}

/// Takes the sums of at least one pair to a result.
fn finish(state: AggregateState, result: impl Fn(&Pairs) -> Option<f64>) -> Result<Value> {
    match state {
        AggregateState::Empty => Ok(Value::Null),
        AggregateState::Regression(pairs) => Ok(result(&pairs).map_or(Value::Null, Value::Float8)),
        _ => Err(mixed_up()),
    }
}

fn finish_count(state: AggregateState) -> Result<Value> {
    match state {
        AggregateState::Empty => Ok(Value::Int8(0)),
        AggregateState::Regression(pairs) => Ok(Value::Int8(pairs.count as i64)),
        _ => Err(mixed_up()),
    }
}

pub(super) const AGGREGATES: Table = &[
    ("regr_count_float8_float8", Code { step, finish: |s, _| finish_count(s) }),
    ("regr_sxx_float8_float8", Code { step, finish: |s, _| finish(s, |p| Some(p.xx)) }),
    ("regr_syy_float8_float8", Code { step, finish: |s, _| finish(s, |p| Some(p.yy)) }),
    ("regr_sxy_float8_float8", Code { step, finish: |s, _| finish(s, |p| Some(p.xy)) }),
    ("regr_avgx_float8_float8", Code { step, finish: |s, _| finish(s, |p| Some(p.x / p.count)) }),
    ("regr_avgy_float8_float8", Code { step, finish: |s, _| finish(s, |p| Some(p.y / p.count)) }),
    ("covar_pop_float8_float8", Code { step, finish: |s, _| finish(s, |p| Some(p.xy / p.count)) }),
    (
        "covar_samp_float8_float8",
        Code { step, finish: |s, _| finish(s, |p| (p.count >= 2.0).then(|| p.xy / (p.count - 1.0))) },
    ),
    (
        "corr_float8_float8",
        Code {
            step,
            finish: |s, _| finish(s, |p| (p.xx != 0.0 && p.yy != 0.0).then(|| p.xy / (p.xx * p.yy).sqrt())),
        },
    ),
    (
        "regr_r2_float8_float8",
        Code {
            step,
            finish: |s, _| {
                finish(s, |p| match (p.xx == 0.0, p.yy == 0.0) {
                    (true, _) => None,
                    (false, true) => Some(1.0),
                    (false, false) => Some((p.xy * p.xy) / (p.xx * p.yy)),
                })
            },
        },
    ),
    (
        "regr_slope_float8_float8",
        Code { step, finish: |s, _| finish(s, |p| (p.xx != 0.0).then(|| p.xy / p.xx)) },
    ),
    (
        "regr_intercept_float8_float8",
        Code {
            step,
            finish: |s, _| finish(s, |p| (p.xx != 0.0).then(|| (p.y - p.x * p.xy / p.xx) / p.count)),
        },
    ),
];
