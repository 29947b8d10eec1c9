import pytest

from cacheplus.tables.sql import read, shorten

ESCAPED = r"""SELECT "a"."x" FROM "a" WHERE ("a"."x" LIKE %s ESCAPE '\' AND EXISTS(SELECT 1 FROM "b" U0
    WHERE U0."y" LIKE %s ESCAPE '\'))"""

READS = [
    ("sqlite", 'SELECT "a"."x" FROM "a"', {"a"}),
    ("sqlite", 'SELECT x FROM "A", b AS c, (SELECT 1 FROM d) e', {"a", "b", "d"}),
    (
        "sqlite",
        'SELECT * FROM "a" INNER JOIN "b" ON ("a"."id" = "b"."a_id") LEFT OUTER JOIN c T4 ON 1',
        {"a", "b", "c"},
    ),
    ("sqlite", "SELECT * FROM [a b] JOIN `c` USING (x)", {"a b", "c"}),
    ("sqlite", ESCAPED, {"a", "b"}),
    ("sqlite", "SELECT 'x from y' FROM a -- FROM z\n/* FROM z */ ORDER BY x, y", {"a"}),
    ("sqlite", "select 1 from a where x in (select y from b union select z from c) limit 3", {"a", "b", "c"}),
    ("postgresql", 'SELECT EXTRACT(YEAR FROM "a"."day" AT TIME ZONE %s), y FROM ONLY public."a"', {"a"}),
    ("postgresql", "SELECT 1 FROM a WHERE x IS DISTINCT FROM y AND z IS NOT DISTINCT FROM w", {"a"}),
    ("postgresql", "SELECT $$ FROM z $$, $q$ it's FROM z $q$, E'it\\'s FROM z' FROM a", {"a"}),
    ("postgresql", "SELECT ARRAY[(SELECT x FROM b)], c[1] FROM a", {"a", "b"}),
    ("postgresql", "SELECT * FROM a, LATERAL (SELECT * FROM b) c", {"a", "b"}),
    ("postgresql", "SELECT * FROM generate_series(1, 3) AS n", {"generate_series()"}),
    ("postgresql", "SELECT * FROM (a CROSS JOIN (b JOIN c ON true)) WHERE true", {"a", "b", "c"}),
    ("postgresql", "WITH RECURSIVE t (n) AS (SELECT 1 FROM a UNION ALL SELECT n FROM t) SELECT * FROM t", {"a"}),
    (
        "postgresql",
        "WITH t AS NOT MATERIALIZED (SELECT 1 FROM a FOR UPDATE) SELECT * FROM t JOIN b ON true",
        {"a", "b"},
    ),
    ("postgresql", "SELECT * FROM a FOR NO KEY UPDATE OF a", {"a"}),
    ("postgresql", "(SELECT 1 FROM a) UNION (SELECT 2 FROM b)", {"a", "b"}),
    ("mysql", "SELECT `a`.`x`, 5--3 FROM `a` # FROM z\nJOIN b ON x = 'it''s'", {"a", "b"}),
    ("mysql", "SELECT * FROM /*! b JOIN */ a", {"a", "b"}),
    ("oracle", 'SELECT "A"."X" FROM "A" FETCH FIRST 3 ROWS ONLY', {"a"}),
]


@pytest.mark.parametrize(("vendor", "sql", "tables"), READS)
def test_a_query_is_read_for_its_relations(vendor, sql, tables):
    statement = read(vendor, sql)

    assert statement.relations == tables
    assert {name for name in tables if "(" not in name} <= statement.mentions
    assert (statement.targets, statement.writes_anything, statement.is_understood) == (set(), False, True)


@pytest.mark.parametrize(
    ("vendor", "sql", "target", "deletes"),
    [
        ("sqlite", 'INSERT INTO "a" ("x") VALUES (%s)', "a", False),
        ("sqlite", "INSERT OR REPLACE INTO a SELECT * FROM b", "a", True),
        ("sqlite", "REPLACE INTO a (x) VALUES (%s)", "a", True),
        ("sqlite", "INSERT INTO a (x) SELECT y FROM b WHERE 1 ON CONFLICT (x) DO UPDATE SET y = 2", "a", False),
        ("sqlite", 'UPDATE "a" SET "x" = (SELECT y FROM b), "z" = %s', "a", False),
        ("sqlite", 'DELETE FROM "a" WHERE "a"."id" IN (SELECT x FROM b)', "a", True),
        ("sqlite", "delete from a;", "a", True),
        ("postgresql", "UPDATE public.a AS c SET x = 1 WHERE y RETURNING z", "a", False),
        ("postgresql", "DELETE FROM a c WHERE x", "a", True),
        ("postgresql", "WITH old AS (DELETE FROM a RETURNING *) SELECT * FROM old", "a", True),
        ("postgresql", "MERGE INTO a USING b ON a.x = b.x WHEN MATCHED THEN DO NOTHING", "a", True),
        ("postgresql", "EXPLAIN (ANALYZE) DELETE FROM a", "a", True),
        ("mysql", "INSERT IGNORE INTO `a` (x) VALUES (%s)", "a", False),
        ("mysql", "INSERT INTO a (x) VALUES (%s) ON DUPLICATE KEY UPDATE x = 1", "a", False),
        ("mysql", "DELETE `a` FROM `a` INNER JOIN b ON x WHERE y", "a", True),
    ],
)
def test_a_statement_is_read_for_the_table_that_it_writes(vendor, sql, target, deletes):
    statement = read(vendor, sql)

    assert (statement.targets, statement.deletes, statement.writes_anything) == ({target}, deletes, False)


@pytest.mark.parametrize(
    ("vendor", "sql"),
    [
        ("postgresql", "TRUNCATE a CASCADE"),
        ("postgresql", "CALL refresh()"),
        ("postgresql", "DO $$ BEGIN DELETE FROM a; END $$"),
        ("postgresql", "ALTER TABLE a ADD COLUMN x int DEFAULT 1"),
        ("postgresql", "COMMIT"),
        ("postgresql", "EXECUTE prepared"),
        ("postgresql", "DELETE FROM a USING b WHERE true"),
        ("sqlite", "DROP TABLE a"),
        ("sqlite", "UPDATE OR IGNORE a SET x = 1"),
        ("sqlite", "DELETE FROM a WHERE x = 'open"),
        ("mysql", "UPDATE a, b SET a.x = b.x"),
        ("mysql", r"UPDATE a SET x = 'it\'s'"),
        ("informix", "DELETE FROM a"),
        ("sqlite", "?"),
    ],
)
def test_what_may_write_something_else_writes_everything(vendor, sql):
    assert read(vendor, sql).writes_anything


@pytest.mark.parametrize(
    ("vendor", "sql"),
    [
        ("mysql", r"SELECT 'it\'s' FROM a"),
        ("oracle", "SELECT q'[it's]' FROM a"),
        ("postgresql", "FETCH 10 FROM cursor"),
        ("postgresql", "SELECT x INTO b FROM a"),
        ("informix", "SELECT * FROM a"),
    ],
)
def test_a_query_that_cannot_be_read_is_not_understood_and_writes_nothing(vendor, sql):
    statement = read(vendor, sql)

    assert (statement.is_understood, statement.writes_anything, statement.targets) == (False, False, set())


@pytest.mark.parametrize(
    "sql", ["SAVEPOINT x", "RELEASE SAVEPOINT x", "ROLLBACK TO SAVEPOINT x", "BEGIN", "SET x = 1", " "]
)
def test_what_steers_a_transaction_touches_no_row(sql):
    statement = read("postgresql", sql)

    assert (statement.is_understood, statement.writes_anything, statement.targets) == (True, False, set())


def test_several_statements_are_taken_together():
    statement = read("sqlite", "UPDATE a SET x = 1; DELETE FROM b WHERE ';' = y; SELECT * FROM c")

    assert (statement.targets, statement.deletes) == ({"a", "b"}, True)
    assert statement.relations == {"b", "c"}


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ('UPDATE "a" SET "x" = %s WHERE "a"."id" = %s', {"x"}),
        ('UPDATE "a" SET "x" = %s, "y" = %s WHERE "a"."id" = %s', set()),
        ('UPDATE "a" SET "x" = "a"."x" + %s WHERE "a"."id" = %s', set()),
        ('INSERT INTO "a" ("x") VALUES (%s)', set()),
    ],
)
def test_an_update_of_one_column_alone_is_told(sql, columns):
    assert read("sqlite", sql).columns == columns


def test_lists_of_parameters_make_no_new_statement():
    rows = ", ".join(["(%s, %s, %s)"] * 5000)

    assert shorten(f"INSERT INTO a (x, y, z) VALUES {rows}") == shorten("INSERT INTO a (x, y, z) VALUES (%s, %s)")
    assert read("sqlite", shorten(f"INSERT INTO a (x, y, z) VALUES {rows}")).targets == {"a"}
