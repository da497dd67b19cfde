//! Arithmetic of `numeric`, line by line of `data/numeric.txt`.

use tuplix_types::{IoContext, Numeric, Result, Value, text_io};

fn shown(value: Value) -> String {
    let mut out = String::new();
    text_io::format_value(&value, &IoContext::default(), &mut out);
    out
}

fn apply(operation: &str, left: &str, right: &str) -> Result<String> {
    if operation == "from_float8" {
        return Ok(Numeric::from_f64(text_io::parse_float8(left)?)?.to_string());
    }
    if operation == "from_float4" {
        return Ok(Numeric::from_f32(text_io::parse_float4(left)?)?.to_string());
    }
    let a = Numeric::parse(left)?;
    let b = || Numeric::parse(right);
    let digits = || right.parse::<i32>().unwrap();
    let number = match operation {
        "+" => a.add(&b()?)?,
        "-" => a.sub(&b()?)?,
        "*" => a.mul(&b()?)?,
        "/" => a.div(&b()?)?,
        "%" => a.rem(&b()?)?,
        "div" => a.div_trunc(&b()?)?,
        "=" => return Ok((a == b()?).to_string()),
        "<" => return Ok((a < b()?).to_string()),
        "neg" => a.neg(),
        "abs" => a.abs(),
        "ceil" => a.ceil()?,
        "floor" => a.floor()?,
        "sign" => a.sign(),
        "sqrt" => a.sqrt()?,
        "exp" => a.exp()?,
        "ln" => a.ln()?,
        "log" => Numeric::log(&a, &b()?)?,
        "power" => a.power(&b()?)?,
        "round" => a.round(digits())?,
        "trunc" => a.trunc(digits())?,
        "trim_scale" => a.trim_scale()?,
        "min_scale" => return Ok(a.min_scale().map_or("NULL".into(), |scale| scale.to_string())),
        "int2" => return a.to_i16().map(|v| v.to_string()),
        "int4" => return a.to_i32().map(|v| v.to_string()),
        "int8" => return a.to_i64().map(|v| v.to_string()),
        "float8" => return a.to_f64().map(|v| shown(Value::Float8(v))),
        "float4" => return a.to_f32().map(|v| shown(Value::Float4(v))),
        _ => panic!("unknown operation {operation}"),
    };
    Ok(number.to_string())
}

#[test]
fn every_line_computes_as_postgresql_does() {
    let mut wrong = Vec::new();
    for line in include_str!("data/numeric.txt").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [operation, left, right, expected] = fields[..] else { panic!("bad line {line}") };
        let actual = match apply(operation, left, right) {
            Ok(text) => format!("={text}"),
            Err(error) => format!("!{} {}", error.sqlstate(), error.message()),
        };
        if actual != expected {
            wrong.push(format!("{operation} {left} {right}\n    expected {expected}\n    actual   {actual}"));
        }
    }
    assert!(wrong.is_empty(), "{} lines differ:\n{}", wrong.len(), wrong.join("\n"));
}
