//! Compiled expressions.

use tuplix_types::Value;

use super::frame::Exec;
use crate::stop::Run;

/// Code that gives a value.
pub(crate) type ValueFn = Box<dyn Fn(&mut Exec<'_, '_>) -> Run<Value> + Send + Sync>;
/// Code that decides; NULL is false.
pub(crate) type TestFn = Box<dyn Fn(&mut Exec<'_, '_>) -> Run<bool> + Send + Sync>;

/// A compiled expression. The two frequent cases need no call.
pub(crate) enum Code {
    /// A constant.
    Constant(Value),
    /// The value in a slot.
    Slot(usize),
    /// Anything else.
    Call(ValueFn),
}

impl Code {
    /// Boxes a closure.
    pub(crate) fn new(call: impl Fn(&mut Exec<'_, '_>) -> Run<Value> + Send + Sync + 'static) -> Code {
        Code::Call(Box::new(call))
    }

    /// Runs it.
    #[inline]
    pub(crate) fn run(&self, exec: &mut Exec<'_, '_>) -> Run<Value> {
        match self {
            Code::Slot(slot) => Ok(exec.copy(*slot)),
            Code::Constant(value) => Ok(value.clone()),
            Code::Call(call) => call(exec),
        }
    }

    /// Runs it and puts the result into a slot.
    #[inline(always)]
    pub(crate) fn run_into(&self, exec: &mut Exec<'_, '_>, slot: usize) -> Run<()> {
        match self {
            Code::Slot(from) => exec.copy_to(*from, slot),
            Code::Constant(value) => exec.set(slot, value.clone()),
            Code::Call(call) => {
                let value = call(exec)?;
                exec.set(slot, value);
            }
        }
        Ok(())
    }

    /// The slot, when it is one.
    pub(crate) fn slot(&self) -> Option<usize> {
        match self {
            Code::Slot(slot) => Some(*slot),
            _ => None,
        }
    }

    /// The constant, when it is one.
    pub(crate) fn constant(&self) -> Option<&Value> {
        match self {
            Code::Constant(value) => Some(value),
            _ => None,
        }
    }
}

/// Boxes a test.
pub(crate) fn test(call: impl Fn(&mut Exec<'_, '_>) -> Run<bool> + Send + Sync + 'static) -> TestFn {
    Box::new(call)
}

/// Runs several and appends their values.
#[inline]
pub(crate) fn run_all(codes: &[Code], exec: &mut Exec<'_, '_>, out: &mut Vec<Value>) -> Run<()> {
    for code in codes {
        let value = code.run(exec)?;
        out.push(value);
    }
    Ok(())
}
