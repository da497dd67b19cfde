// node-postgres: parameters, types, prepared statements, cursors, pools, notifications, errors.
"use strict";
const assert = require("node:assert");
const { Client, Pool } = require("pg");
const Cursor = require("pg-cursor");

const connectionString = process.argv[2];

async function main() {
    const client = new Client({ connectionString });
    await client.connect();
    const { rows } = await client.query(
        "SELECT $1::int AS i, $2::text AS t, $3::jsonb AS j, $4::timestamptz AS at, $5::bool AS b, $6::int[] AS list, $7::bytea AS bytes, NULL AS nothing",
        [1, "é", { a: [1] }, new Date(0), true, [1, 2], Buffer.from([0, 255])],
    );
    assert.deepStrictEqual(rows[0], {
        i: 1, t: "é", j: { a: [1] }, at: new Date(0), b: true, list: [1, 2], bytes: Buffer.from([0, 255]), nothing: null,
    });
    const several = await client.query("CREATE TABLE n (id int PRIMARY KEY, name text); INSERT INTO n VALUES (1, 'one')");
    assert.deepStrictEqual(several.map((result) => [result.command, result.rowCount]), [["CREATE", null], ["INSERT", 1]]);
    for (let id = 2; id <= 50; id += 1) {
        const result = await client.query({ name: "insert-n", text: "INSERT INTO n VALUES ($1, $2) RETURNING id", values: [id, `row ${id}`] });
        assert.strictEqual(result.rows[0].id, id);
    }
    const cursor = client.query(new Cursor("SELECT id FROM n ORDER BY id"));
    assert.strictEqual((await cursor.read(30)).length, 30);
    assert.strictEqual((await cursor.read(30)).length, 20);
    assert.strictEqual((await cursor.read(30)).length, 0);
    await cursor.close();
    await assert.rejects(client.query("INSERT INTO n VALUES (1, 'again')"), (error) => {
        assert.strictEqual(error.code, "23505");
        assert.strictEqual(error.constraint, "n_pkey");
        return true;
    });
    await client.query("BEGIN");
    await client.query("DELETE FROM n");
    await client.query("ROLLBACK");
    assert.strictEqual((await client.query("SELECT count(*) FROM n")).rows[0].count, "50");
    const heard = new Promise((resolve) => client.on("notification", resolve));
    await client.query("LISTEN news");
    const pool = new Pool({ connectionString, max: 5 });
    const sums = await Promise.all(Array.from({ length: 40 }, (_, i) => pool.query("SELECT $1::int + 1 AS sum", [i])));
    assert.deepStrictEqual(sums.map((result) => result.rows[0].sum), Array.from({ length: 40 }, (_, i) => i + 1));
    await pool.query("SELECT pg_notify('news', 'hello')");
    assert.strictEqual((await heard).payload, "hello");
    await pool.end();
    await client.end();
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
