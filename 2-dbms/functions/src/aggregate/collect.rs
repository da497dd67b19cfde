//! `array_agg`, `string_agg`, `json_agg`, `jsonb_agg`, `json_object_agg`, `jsonb_object_agg`.

use super::Table;

pub(super) const AGGREGATES: Table = &[];
