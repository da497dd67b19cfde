//! Choosing among candidates that all fit (`parse_func.c`: `func_match_argtypes`, `func_select_candidate`).

use tuplix_types::TypeId;

use super::Resolver;
use crate::registry::CastContext;

/// Something with argument types to choose by.
pub(crate) trait Signature {
    /// A type for each written argument.
    fn args(&self) -> &[TypeId];
}

impl Resolver<'_> {
    /// The candidates to whose argument types the inputs can be coerced implicitly.
    pub(crate) fn matching<'c, C: Signature>(&self, inputs: &[TypeId], candidates: &'c [C]) -> Vec<&'c C> {
        let fits = |c: &&C| self.can_coerce(inputs, c.args(), CastContext::Implicit);
        candidates.iter().filter(fits).collect()
    }

    /// The best of several candidates that fit, `None` when PostgreSQL would call the choice ambiguous.
    pub(crate) fn select<'c, C: Signature>(
        &self,
        inputs: &[TypeId],
        candidates: Vec<&'c C>,
    ) -> Option<&'c C> {
        let inputs: Vec<TypeId> = inputs.iter().map(|id| self.types.base(*id)).collect();
        let known = |(input, _): &(&TypeId, &TypeId)| **input != TypeId::UNKNOWN;

        let exact =
            |c: &&C| inputs.iter().zip(c.args()).filter(known).filter(|(input, arg)| input == arg).count();
        let candidates = keep_best(candidates, exact);
        if let [only] = candidates[..] {
            return Some(only);
        }

        let preferred = |(input, arg): &(&TypeId, &TypeId)| {
            input == arg
                || (self.types.category(**input) == self.types.category(**arg)
                    && self.types.is_preferred(**arg))
        };
        let candidates =
            keep_best(candidates, |c| inputs.iter().zip(c.args()).filter(known).filter(preferred).count());
        if let [only] = candidates[..] {
            return Some(only);
        }

        if !inputs.contains(&TypeId::UNKNOWN) {
            return None;
        }
        let candidates = self.by_category_of_unknowns(&inputs, candidates);
        if let [only] = candidates[..] {
            return Some(only);
        }

        // Last resort: literals are of the one known type, if that leaves one candidate.
        let mut types = inputs.iter().filter(|id| **id != TypeId::UNKNOWN);
        let known_type = *types.next()?;
        if types.any(|id| *id != known_type) {
            return None;
        }
        let assumed = vec![known_type; inputs.len()];
        let mut fitting =
            candidates.into_iter().filter(|c| self.can_coerce(&assumed, c.args(), CastContext::Implicit));
        fitting.next().filter(|_| fitting.next().is_none())
    }

    /// Guesses each untyped literal's category from the candidates (strings win) and keeps those that accept it.
    fn by_category_of_unknowns<'c, C: Signature>(
        &self,
        inputs: &[TypeId],
        candidates: Vec<&'c C>,
    ) -> Vec<&'c C> {
        let mut slots = Vec::new();
        for (index, _) in inputs.iter().enumerate().filter(|(_, id)| **id == TypeId::UNKNOWN) {
            let mut slot: Option<(char, bool)> = None;
            let mut conflict = false;
            for candidate in &candidates {
                let id = candidate.args()[index];
                let (category, is_preferred) = (self.types.category(id), self.types.is_preferred(id));
                match &mut slot {
                    None => slot = Some((category, is_preferred)),
                    Some((seen, has_preferred)) if *seen == category => *has_preferred |= is_preferred,
                    Some(seen) if category == 'S' => *seen = (category, is_preferred),
                    Some(_) => conflict = true,
                }
            }
            match slot {
                Some((category, has_preferred)) if !conflict || category == 'S' => {
                    slots.push((index, category, has_preferred));
                }
                _ => return candidates,
            }
        }
        let keeps = |c: &&&C| {
            slots.iter().all(|&(index, category, has_preferred)| {
                let id = c.args()[index];
                self.types.category(id) == category && (!has_preferred || self.types.is_preferred(id))
            })
        };
        let kept: Vec<&'c C> = candidates.iter().filter(keeps).copied().collect();
        if kept.is_empty() { candidates } else { kept }
    }
}

/// Keeps the candidates with the highest score.
fn keep_best<'c, C>(candidates: Vec<&'c C>, score: impl Fn(&&'c C) -> usize) -> Vec<&'c C> {
    let scores: Vec<usize> = candidates.iter().map(score).collect();
    let best = scores.iter().copied().max().unwrap_or(0);
    candidates.into_iter().zip(scores).filter(|(_, score)| *score == best).map(|(c, _)| c).collect()
}
