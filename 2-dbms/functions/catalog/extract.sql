-- Writes pg_type.tsv, pg_proc.tsv, pg_operator.tsv and pg_cast.tsv beside itself from a PostgreSQL 15:
--   psql -XqAt -d postgres -f extract.sql
-- Only what speaks solely in types that Tuplix has; the crate says which of these functions it implements.
-- The names of all other functions go to left_out.txt: calling one is refused as not there yet, not as unknown.
create temp table known as
select t.oid, t.typname from pg_type t where t.typnamespace = 'pg_catalog'::regnamespace and t.typname = any (array[
  'bool','bytea','char','name','int8','int2','int4','regproc','text','oid','json','float4','float8','unknown','bpchar','varchar',
  'date','time','timestamp','timestamptz','interval','numeric','regclass','regtype','record','any','anyarray','void','anyelement',
  'anynonarray','uuid','anyenum','jsonb','jsonpath','regnamespace','anycompatible','anycompatiblearray',
  'int2vector','oidvector','xid','cstring','pg_node_tree','aclitem','regrole','regprocedure','refcursor']);
insert into known select a.oid, a.typname from known k join pg_type t using (oid) join pg_type a on a.oid = t.typarray;
create temp table procs as
select p.* from pg_proc p where p.pronamespace = 'pg_catalog'::regnamespace and p.prorettype in (select oid from known)
  and not exists (select from unnest(p.proargtypes) a(t) where a.t not in (select oid from known))
  and not exists (select from unnest(coalesce(p.proallargtypes, '{}')) a(t) where a.t not in (select oid from known))
  and p.oid < 16384 and p.prokind <> 'p' and p.proname !~ '^(binary_upgrade|pg_stat_get|pg_replication|pg_logical|amvalidate|pg_wal|pg_create_|pg_drop_|pg_copy_)';
\t on
\pset format unaligned
\pset fieldsep '\t'
\o pg_type.tsv
-- The catalogue's tables have columns of types that no function here takes.
select t.oid, t.typname, t.typcategory, t.typispreferred from pg_type t
where t.oid in (select oid from known) or t.typname in ('inet', '_inet') order by 1;
\o pg_proc.tsv
select p.oid, p.proname,
  case when l.lanname = 'internal' and p.prokind <> 'a' then p.prosrc
       else p.proname || coalesce((select string_agg('_' || t.typname, '' order by a.n) from unnest(p.proargtypes) with ordinality a(t, n) join pg_type t on t.oid = a.t), '') end,
  p.prokind, case when p.proisstrict then 's' else '-' end, p.provolatile, case when p.proretset then 'r' else '-' end,
  case when p.provariadic = 0 then '-' else 'v' end, p.prorettype::regtype::oid,
  coalesce((select string_agg(a.t::text, ',' order by a.n) from unnest(p.proargtypes) with ordinality a(t, n)), ''),
  coalesce((select string_agg(coalesce(p.proargnames[a.n], '') || ':' || a.t, ',' order by a.n) from unnest(p.proallargtypes) with ordinality a(t, n) where p.proargmodes[a.n] = 'o'), ''),
  coalesce((select string_agg(coalesce(p.proargnames[i], ''), ',' order by i) from generate_series(1, p.pronargs) i where p.proargnames is not null), ''),
  p.pronargdefaults, coalesce(pg_get_expr(p.proargdefaults, 0), '')
from procs p join pg_language l on l.oid = p.prolang order by p.oid;
\o pg_operator.tsv
select o.oid, o.oprname, o.oprleft, o.oprright, o.oprresult, o.oprcode::oid, o.oprcom, o.oprnegate
from pg_operator o join procs p on p.oid = o.oprcode
where (o.oprleft = 0 or o.oprleft in (select oid from known)) and o.oprright in (select oid from known) order by 1;
\o pg_cast.tsv
select c.castsource, c.casttarget, c.castfunc, c.castcontext, c.castmethod
from pg_cast c where c.castsource in (select oid from known) and c.casttarget in (select oid from known) order by 1, 2;
\o left_out.txt
select p.proname from pg_proc p where p.pronamespace = 'pg_catalog'::regnamespace and p.oid < 16384
  and p.proname not in (select proname from procs) group by 1 order by p.proname::text collate "C";
\o keywords.txt
select word from pg_get_keywords() where catcode <> 'U' order by 1;
\o
