-- Writes relations.tsv and rows.tsv beside itself from a PostgreSQL 15 that was just made:
--   psql -XqAt -d postgres -f extract.sql
-- relations.tsv: schema, name, object id, relkind, columns as name:type:not null, of the system tables that Tuplix computes.
-- rows.tsv: the rows of those whose content is PostgreSQL's own, as a table's name and the columns' texts.
create temp table wanted (name) as select unnest(string_to_array(
  'pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members pg_authid pg_available_extensions pg_cast pg_class pg_collation pg_constraint '
  'pg_conversion pg_database pg_db_role_setting pg_default_acl pg_depend pg_description pg_enum pg_event_trigger pg_extension '
  'pg_foreign_data_wrapper pg_foreign_server pg_foreign_table pg_group pg_hba_file_rules pg_index pg_indexes pg_inherits pg_init_privs pg_language '
  'pg_largeobject_metadata pg_locks pg_matviews pg_namespace pg_opclass pg_operator pg_opfamily pg_parameter_acl pg_partitioned_table '
  'pg_policies pg_policy pg_prepared_xacts pg_proc pg_publication pg_publication_namespace pg_publication_rel '
  'pg_publication_tables pg_range pg_rewrite pg_roles pg_rules pg_seclabel pg_seclabels pg_sequence pg_sequences pg_settings '
  'pg_shadow pg_shdepend pg_shdescription pg_shseclabel pg_stat_activity pg_stat_all_tables pg_stat_user_tables pg_statistic_ext pg_stats pg_subscription pg_subscription_rel '
  'pg_tables pg_tablespace pg_transform pg_trigger pg_ts_config pg_ts_config_map pg_ts_dict pg_ts_parser pg_ts_template pg_type '
  'pg_cursors pg_prepared_statements pg_timezone_abbrevs pg_timezone_names pg_user pg_user_mapping pg_user_mappings pg_views '
  'information_schema_catalog_name schemata tables columns table_constraints key_column_usage constraint_column_usage '
  'constraint_table_usage referential_constraints check_constraints views routines parameters sequences triggers domains '
  'domain_constraints enabled_roles applicable_roles element_types table_privileges user_defined_types view_column_usage '
  'view_table_usage', ' '));
create temp table known as
select t.oid from pg_type t where t.typnamespace = 'pg_catalog'::regnamespace and t.typname = any (array['trigger',
  'bool','bytea','char','name','int8','int2','int4','regproc','text','oid','json','float4','float8','unknown','bpchar','varchar',
  'date','time','timestamp','timestamptz','interval','numeric','regclass','regtype','record','any','anyarray','void','anyelement',
  'anynonarray','uuid','anyenum','jsonb','jsonpath','regnamespace','anycompatible','anycompatiblearray',
  'int2vector','oidvector','xid','cstring','pg_node_tree','aclitem','regrole','regprocedure']);
insert into known select typarray from known k join pg_type t using (oid) where typarray <> 0;
-- Columns have this type, but nothing can be done with it.
create temp table shown as select oid from known union select oid from pg_type where typname in ('inet', '_inet');
\t on
\pset format unaligned
\pset fieldsep '\t'
\pset null '\\N'
\o relations.tsv
select n.nspname, c.relname, c.oid, c.relkind,
  string_agg(a.attname || ':' || case when t.typtype = 'd' then t.typbasetype else t.oid end || ':' || a.attnotnull::int, ',' order by a.attnum)
from pg_class c join pg_namespace n on n.oid = c.relnamespace join wanted w on w.name = c.relname
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 join pg_type t on t.oid = a.atttypid
where n.nspname in ('pg_catalog', 'information_schema') group by 1, 2, 3, 4 order by 1, 2;
-- A regproc is written as its object id.
create function pg_temp.texts(relation regclass) returns text language sql as $$
  select string_agg(case when a.atttypid = 'regproc'::regtype then format('%I::oid', a.attname) else format('%I', a.attname) end, ', ' order by a.attnum)
  from pg_attribute a where a.attrelid = relation and a.attnum > 0 $$;
\o rows.tsv
select format('select %L, %s from %s %s order by %s.oid', r.name, pg_temp.texts(r.name::regclass), r.name, r.condition, r.name)
from (values ('pg_am', 'where amname in (''heap'', ''btree'', ''hash'')'),
  ('pg_collation', 'where collname in (''default'', ''C'', ''POSIX'', ''ucs_basic'')'),
  ('pg_extension', ''),
  ('pg_language', 'where lanname in (''internal'', ''sql'', ''plpgsql'')'),
  ('pg_opclass', 'where opcmethod in (403, 405) and opcintype in (select oid from known)'),
  ('pg_opfamily', 'where oid in (select opcfamily from pg_opclass where opcmethod in (403, 405) and opcintype in (select oid from known))'),
  ('pg_operator', 'where oprcode in (select oid from pg_proc) and (oprleft = 0 or oprleft in (select oid from known)) and oprright in (select oid from known)'),
  ('pg_cast', 'where castsource in (select oid from known) and casttarget in (select oid from known)'),
  ('pg_tablespace', 'where spcname = ''pg_default'''),
  ('pg_type', 'where oid in (select oid from shown)'),
  -- The functions that rows of the others name.
  ('pg_proc', 'where oid in (select f from pg_type t, unnest(array[typinput::oid, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, typsubscript]) f where t.oid in (select oid from shown))'
    ' or oid in (select amhandler from pg_am where amname in (''heap'', ''btree'', ''hash''))'
    ' or oid in (select f from pg_language, unnest(array[lanplcallfoid, laninline, lanvalidator]) f)'
    ' or oid in (select f from pg_operator, unnest(array[oprrest::oid, oprjoin]) f)')) r(name, condition) \gexec
select 'pg_description', objoid, classoid, objsubid, description from pg_description
where (classoid = 'pg_extension'::regclass) or (classoid = 'pg_language'::regclass and objoid in (select oid from pg_language where lanname in ('internal', 'sql', 'plpgsql')))
  or (classoid = 'pg_namespace'::regclass and objoid = 'public'::regnamespace) or (classoid = 'pg_am'::regclass and objoid in (2, 403, 405))
  or (classoid = 'pg_collation'::regclass and objoid in (select oid from pg_collation where collname in ('default', 'C', 'POSIX', 'ucs_basic')))
  or (classoid = 'pg_type'::regclass and objoid in (select oid from known))
order by classoid, objoid;
\o
