//! Regular expressions: `~`, `regexp_match`, `regexp_replace`, `substring(... from ...)`, ...
//!
//! PostgreSQL takes the leftmost match that is longest (or shortest, when the pattern's first
//! quantifier is a non-greedy one); the crate `regex-automata` takes the leftmost that the pattern's
//! order prefers. Where only "is there a match" is asked they agree. Where the match itself is
//! used, an automaton finds the end that PostgreSQL would find, and a pattern for which the two
//! disagree is refused (0A000) instead of answered differently. What is left: when both agree on the
//! match, groups inside an ambiguous pattern may split it differently.

mod translate;

use std::cell::RefCell;
use std::sync::Arc;

use regex_automata::hybrid::dfa::DFA;
use regex_automata::meta::Regex;
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};
use tuplix_types::{Array, Result, SqlError, TypeId, Value, sqlstate};

pub(super) use self::translate::Flags;
use self::translate::{invalid, translate};
use super::args::{from_array, int4, text};
use super::generate::single_column;
use super::{Scalars, Sets};

/// How many compiled patterns a thread keeps.
const CACHED: usize = 64;
/// The most memory that one compiled pattern may take.
const MAX_COMPILED_BYTES: usize = 16 << 20;

struct Compiled {
    regex: Regex,
    /// Finds PostgreSQL's end of a match; none when nothing in the pattern leaves a choice.
    ends: Option<DFA>,
    shortest: bool,
}

type Cache = Vec<((String, Flags), Arc<Compiled>)>;

thread_local! {
    /// The patterns used last, the latest at the end. It only saves time, it decides nothing.
    static COMPILED: RefCell<Cache> = const { RefCell::new(Vec::new()) };
}

fn compile(pattern: &str, flags: Flags) -> Result<Arc<Compiled>> {
    COMPILED.with_borrow_mut(|cache| {
        let found = cache.iter().rposition(|((text, with), _)| text == pattern && *with == flags);
        let entry = match found {
            Some(index) => cache.remove(index),
            None => ((pattern.to_owned(), flags), Arc::new(compile_new(pattern, flags)?)),
        };
        if cache.len() >= CACHED {
            cache.remove(0);
        }
        let compiled = Arc::clone(&entry.1);
        cache.push(entry);
        Ok(compiled)
    })
}

fn compile_new(pattern: &str, flags: Flags) -> Result<Compiled> {
    let translated = translate(pattern, flags)?;
    let syntax = syntax::Config::new().case_insensitive(translated.flags.ignore_case);
    let limits = Regex::config().nfa_size_limit(Some(MAX_COMPILED_BYTES));
    let built = Regex::builder().syntax(syntax).configure(limits).build(&translated.pattern);
    let regex = built.map_err(|error| {
        if error.size_limit().is_some() {
            invalid("regular expression is too complex")
        } else {
            // The syntax error's last line says what; the lines before draw the translated pattern.
            let text = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
            invalid(text.lines().last().unwrap_or_default().trim_start_matches("error: "))
        }
    })?;
    let choice = translated.pattern.contains(['*', '+', '?', '{', '|']);
    let ends = if choice {
        let config = DFA::config().match_kind(MatchKind::All).unicode_word_boundary(true);
        let config = config.skip_cache_capacity_check(true);
        let built = DFA::builder().syntax(syntax).configure(config).build(&translated.pattern);
        Some(
            built
                .map_err(|error| SqlError::unsupported(format_args!("this regular expression ({error})")))?,
        )
    } else {
        None
    };
    Ok(Compiled { regex, ends, shortest: translated.shortest })
}

impl Compiled {
    fn is_match(&self, subject: &str) -> bool {
        self.regex.is_match(subject)
    }

    /// The groups of the first match at or after `start`, whole match first.
    fn find(&self, subject: &str, start: usize) -> Result<Option<Captures>> {
        let mut captures = self.regex.create_captures();
        self.regex.search_captures(&Input::new(subject).span(start..subject.len()), &mut captures);
        let Some(found) = captures.get_match() else { return Ok(None) };
        if let Some(ends) = &self.ends {
            let input = Input::new(subject).span(found.start()..subject.len()).anchored(Anchored::Yes);
            let end = ends.try_search_fwd(&mut ends.create_cache(), &input.earliest(self.shortest));
            if !end.is_ok_and(|half| half.is_some_and(|half| half.offset() == found.end())) {
                let what = "a regular expression whose longest match is not the first that it describes";
                return Err(SqlError::unsupported(what));
            }
        }
        Ok(Some(captures))
    }

    /// Every match, or only the first.
    fn find_all(&self, subject: &str, global: bool, start: usize) -> Result<Vec<Captures>> {
        let (mut found, mut at) = (Vec::new(), start);
        while let Some(captures) = self.find(subject, at)? {
            let Some(span) = captures.get_match() else { break };
            at = if span.is_empty() { next_char(subject, span.end()) } else { span.end() };
            found.push(captures);
            if !global || at > subject.len() {
                break;
            }
        }
        Ok(found)
    }
}

/// Whether a text has a match.
pub(super) fn is_match(subject: &str, pattern: &str, flags: Flags) -> Result<bool> {
    Ok(compile(pattern, flags)?.is_match(subject))
}

/// The offset after the character at an offset; past the end there is one more place.
fn next_char(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(1, char::len_utf8)
}

fn group(captures: &Captures, index: usize, subject: &str) -> Value {
    captures.get_group(index).map_or(Value::Null, |span| Value::text(&subject[span.range()]))
}

/// The groups as `regexp_match` shows them: the whole match when there are none.
fn groups(captures: &Captures, subject: &str) -> Value {
    let count = captures.group_len();
    let values = if count == 1 {
        vec![group(captures, 0, subject)]
    } else {
        (1..count).map(|index| group(captures, index, subject)).collect()
    };
    from_array(Array::from_elements(TypeId::TEXT, values))
}

fn flags(args: &[Value], at: usize) -> Result<Flags> {
    if args.len() > at { Flags::parse(text(args, at)?) } else { Ok(Flags::default()) }
}

/// Flags of a function that finds one match.
fn single_flags(args: &[Value], at: usize, function: &str, hint: &str) -> Result<Flags> {
    let flags = flags(args, at)?;
    if flags.global {
        let message = format!("{function}() does not support the \"global\" option");
        let error = SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message);
        return Err(if hint.is_empty() { error } else { error.hint(hint) });
    }
    Ok(flags)
}

fn matches(a: &[Value], ignore_case: bool) -> Result<bool> {
    let flags = Flags { ignore_case, ..Flags::default() };
    Ok(compile(text(a, 1)?, flags)?.is_match(text(a, 0)?))
}

fn first_match(a: &[Value]) -> Result<Value> {
    let flags = single_flags(a, 2, "regexp_match", "Use the regexp_matches function instead.")?;
    let subject = text(a, 0)?;
    let found = compile(text(a, 1)?, flags)?.find(subject, 0)?;
    Ok(found.map_or(Value::Null, |captures| groups(&captures, subject)))
}

fn all_matches(a: &[Value]) -> Result<Vec<Value>> {
    let flags = flags(a, 2)?;
    let subject = text(a, 0)?;
    let found = compile(text(a, 1)?, Flags { global: false, ..flags })?.find_all(subject, flags.global, 0)?;
    Ok(found.iter().map(|captures| groups(captures, subject)).collect())
}

/// `substring(text from pattern)`: the first group, or all of the match when there is none.
fn first_substring(a: &[Value]) -> Result<Value> {
    let subject = text(a, 0)?;
    let found = compile(text(a, 1)?, Flags::default())?.find(subject, 0)?;
    Ok(found.map_or(Value::Null, |captures| {
        let index = usize::from(captures.group_len() > 1);
        group(&captures, index, subject)
    }))
}

/// Appends the replacement with `\1` to `\9`, `\&` and `\\` filled in.
fn push_replacement(out: &mut String, replacement: &str, captures: &Captures, subject: &str) {
    let mut chars = replacement.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(digit @ '1'..='9') => {
                let span = captures.get_group(digit as usize - '0' as usize);
                out.push_str(span.map_or("", |span| &subject[span.range()]));
            }
            Some('&') => out.push_str(captures.get_group(0).map_or("", |span| &subject[span.range()])),
            Some('\\') | None => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
        }
    }
}

/// Where character `start` (from 1) begins; `None` beyond the end, where nothing matches, not even nothing.
fn offset_of(subject: &str, start: i32) -> Option<usize> {
    let skipped = start as usize - 1;
    (skipped <= subject.chars().count()).then(|| super::text::char_offset(subject, skipped))
}

/// Replaces the `nth` match at or after character `start` (from 1), or all for `nth` 0.
fn replace(
    subject: &str,
    pattern: &str,
    replacement: &str,
    flags: Flags,
    start: i32,
    nth: i32,
) -> Result<Value> {
    let compiled = compile(pattern, Flags { global: false, ..flags })?;
    let Some(from) = offset_of(subject, start) else { return Ok(Value::text(subject)) };
    let found = compiled.find_all(subject, nth != 1, from)?;
    let (mut out, mut at) = (String::with_capacity(subject.len()), 0);
    for (index, captures) in found.iter().enumerate() {
        let Some(span) = captures.get_match() else { break };
        if nth > 0 && index + 1 != nth as usize {
            continue;
        }
        out.push_str(&subject[at..span.start()]);
        push_replacement(&mut out, replacement, captures, subject);
        at = span.end();
    }
    out.push_str(&subject[at..]);
    Ok(Value::text(out))
}

fn replace_with_flags(a: &[Value]) -> Result<Value> {
    let letters = text(a, 3)?;
    if letters.starts_with(|c: char| c.is_ascii_digit()) {
        let message = format!("invalid regular expression option: \"{}\"", &letters[..1]);
        return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
            .hint("If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly."));
    }
    let flags = flags(a, 3)?;
    replace(text(a, 0)?, text(a, 1)?, text(a, 2)?, flags, 1, i32::from(!flags.global))
}

fn at_least(args: &[Value], at: usize, low: i32, name: &str) -> Result<i32> {
    let value = if args.len() > at { int4(args, at)? } else { 1 };
    if value < low {
        let message = format!("invalid value for parameter \"{name}\": {value}");
        return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
    }
    Ok(value)
}

fn replace_extended(a: &[Value]) -> Result<Value> {
    let start = at_least(a, 3, 1, "start")?;
    let flags = flags(a, 5)?;
    let nth = if a.len() > 4 { at_least(a, 4, 0, "n")? } else { i32::from(!flags.global) };
    replace(text(a, 0)?, text(a, 1)?, text(a, 2)?, flags, start, nth)
}

/// The pieces between matches; matches of nothing at the ends or right after another split nothing.
fn split(a: &[Value], function: &str) -> Result<Vec<Value>> {
    let flags = single_flags(a, 2, function, "")?;
    let subject = text(a, 0)?;
    let (mut pieces, mut at, mut previous) = (Vec::new(), 0, 0);
    for captures in compile(text(a, 1)?, flags)?.find_all(subject, true, 0)? {
        let Some(span) = captures.get_match() else { break };
        if span.start() < subject.len() && span.end() > previous {
            pieces.push(Value::text(&subject[at..span.start()]));
            at = span.end();
        }
        previous = span.end();
    }
    pieces.push(Value::text(&subject[at..]));
    Ok(pieces)
}

fn count(a: &[Value]) -> Result<Value> {
    let start = at_least(a, 2, 1, "start")?;
    let flags = single_flags(a, 3, "regexp_count", "")?;
    let subject = text(a, 0)?;
    let compiled = compile(text(a, 1)?, flags)?;
    let Some(from) = offset_of(subject, start) else { return Ok(Value::Int4(0)) };
    Ok(Value::Int4(compiled.find_all(subject, true, from)?.len() as i32))
}

/// `regexp_substr(text, pattern, start, nth, flags, group)`
fn nth_substring(a: &[Value]) -> Result<Value> {
    let (start, nth) = (at_least(a, 2, 1, "start")?, at_least(a, 3, 1, "n")?);
    let flags = single_flags(a, 4, "regexp_substr", "")?;
    let index = if a.len() > 5 { at_least(a, 5, 0, "subexpr")? as usize } else { 0 };
    let subject = text(a, 0)?;
    let compiled = compile(text(a, 1)?, flags)?;
    let Some(from) = offset_of(subject, start) else { return Ok(Value::Null) };
    let found = compiled.find_all(subject, nth > 1, from)?;
    let chosen = found.get(nth as usize - 1).filter(|captures| index < captures.group_len());
    Ok(chosen.map_or(Value::Null, |captures| group(captures, index, subject)))
}

/// `regexp_instr(text, pattern, start, nth, end, flags, group)`: where the match begins, or what follows it; 0 for none.
fn place(a: &[Value]) -> Result<Value> {
    let (start, nth) = (at_least(a, 2, 1, "start")?, at_least(a, 3, 1, "n")?);
    let behind = if a.len() > 4 { at_least(a, 4, 0, "endoption")? } else { 0 };
    if behind > 1 {
        let message = format!("invalid value for parameter \"endoption\": {behind}");
        return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
    }
    let flags = single_flags(a, 5, "regexp_instr", "")?;
    let index = if a.len() > 6 { at_least(a, 6, 0, "subexpr")? as usize } else { 0 };
    let subject = text(a, 0)?;
    let compiled = compile(text(a, 1)?, flags)?;
    let Some(from) = offset_of(subject, start) else { return Ok(Value::Int4(0)) };
    let found = compiled.find_all(subject, nth > 1, from)?;
    let chosen = found.get(nth as usize - 1).and_then(|captures| captures.get_group(index));
    Ok(Value::Int4(chosen.map_or(0, |span| {
        let at = if behind == 1 { span.end } else { span.start };
        subject[..at].chars().count() as i32 + 1
    })))
}

/// `SIMILAR TO`'s pattern as a regular expression.
fn similar_to(pattern: &str, escape: Option<&str>) -> Result<Value> {
    let escape = match escape {
        None => Some('\\'),
        Some(text) if text.chars().count() > 1 => {
            return Err(SqlError::new(sqlstate::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
                .hint("Escape string must be empty or one character."));
        }
        Some(text) => text.chars().next(),
    };
    let (mut out, mut escaped, mut in_set) = (String::from("^(?:"), false, false);
    for c in pattern.chars() {
        match c {
            '"' if escaped && !in_set => {
                return Err(SqlError::unsupported("the escape-double-quote separator of SIMILAR"));
            }
            _ if escaped => {
                out.extend(['\\', c]);
                escaped = false;
            }
            _ if Some(c) == escape => escaped = true,
            _ if in_set => {
                out.push_str(if c == '\\' { "\\" } else { "" });
                out.push(c);
                in_set = c != ']';
            }
            '[' => {
                out.push(c);
                in_set = true;
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '\\' | '.' | '^' | '$' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out.push_str(")$");
    Ok(Value::text(out))
}

fn like(a: &[Value]) -> Result<Value> {
    let flags = single_flags(a, 2, "regexp_like", "")?;
    Ok(Value::Bool(compile(text(a, 1)?, flags)?.is_match(text(a, 0)?)))
}

fn text_array(values: Vec<Value>) -> Value {
    from_array(Array::from_elements(TypeId::TEXT, values))
}

pub(crate) const FUNCTIONS: Scalars = &[
    ("textregexeq", |_, a| Ok(Value::Bool(matches(a, false)?))),
    ("textregexne", |_, a| Ok(Value::Bool(!matches(a, false)?))),
    ("texticregexeq", |_, a| Ok(Value::Bool(matches(a, true)?))),
    ("texticregexne", |_, a| Ok(Value::Bool(!matches(a, true)?))),
    ("nameregexeq", |_, a| Ok(Value::Bool(matches(a, false)?))),
    ("nameregexne", |_, a| Ok(Value::Bool(!matches(a, false)?))),
    ("nameicregexeq", |_, a| Ok(Value::Bool(matches(a, true)?))),
    ("nameicregexne", |_, a| Ok(Value::Bool(!matches(a, true)?))),
    ("regexp_like_no_flags", |_, a| like(a)),
    ("regexp_like", |_, a| like(a)),
    ("regexp_match_no_flags", |_, a| first_match(a)),
    ("regexp_match", |_, a| first_match(a)),
    ("textregexsubstr", |_, a| first_substring(a)),
    ("textregexreplace_noopt", |_, a| replace(text(a, 0)?, text(a, 1)?, text(a, 2)?, Flags::default(), 1, 1)),
    ("textregexreplace", |_, a| replace_with_flags(a)),
    ("textregexreplace_extended", |_, a| replace_extended(a)),
    ("textregexreplace_extended_no_flags", |_, a| replace_extended(a)),
    ("textregexreplace_extended_no_n", |_, a| replace_extended(a)),
    ("regexp_split_to_array", |_, a| Ok(text_array(split(a, "regexp_split_to_array")?))),
    ("regexp_split_to_array_no_flags", |_, a| Ok(text_array(split(a, "regexp_split_to_array")?))),
    ("regexp_count_no_start", |_, a| count(a)),
    ("regexp_count_no_flags", |_, a| count(a)),
    ("regexp_count", |_, a| count(a)),
    ("regexp_substr_no_start", |_, a| nth_substring(a)),
    ("regexp_substr_no_n", |_, a| nth_substring(a)),
    ("regexp_substr_no_flags", |_, a| nth_substring(a)),
    ("regexp_substr_no_subexpr", |_, a| nth_substring(a)),
    ("regexp_substr", |_, a| nth_substring(a)),
    ("regexp_instr_no_start", |_, a| place(a)),
    ("regexp_instr_no_n", |_, a| place(a)),
    ("regexp_instr_no_endoption", |_, a| place(a)),
    ("regexp_instr_no_flags", |_, a| place(a)),
    ("regexp_instr_no_subexpr", |_, a| place(a)),
    ("regexp_instr", |_, a| place(a)),
    ("substring_text_text_text", |_, a| {
        first_substring(&[a[0].clone(), similar_to(text(a, 1)?, Some(text(a, 2)?))?])
    }),
    ("similar_to_escape_1", |_, a| similar_to(text(a, 0)?, None)),
    ("similar_to_escape_2", |_, a| similar_to(text(a, 0)?, Some(text(a, 1)?))),
];

pub(crate) const SETS: Sets = &[
    ("regexp_matches_no_flags", |_, a| Ok(single_column(all_matches(a)?.into_iter()))),
    ("regexp_matches", |_, a| Ok(single_column(all_matches(a)?.into_iter()))),
    ("regexp_split_to_table", |_, a| Ok(single_column(split(a, "regexp_split_to_table")?.into_iter()))),
    ("regexp_split_to_table_no_flags", |_, a| {
        Ok(single_column(split(a, "regexp_split_to_table")?.into_iter()))
    }),
];
