import { expect, test } from "vitest";
import { inVain } from "../sql/support/session.ts";

interface Finding {
  routine: string;
  line: number | null;
  level: string;
  message: string;
}

/** The expressions of a source are SQL on purpose: whoever owns a table gives them, and they are examined first. */
const RUNS_EXPRESSIONS = new Set([
  "private.counted_columns(private.embedding_sources)",
  "private.probe_expressions(private.embedding_sources)",
  "private.source_fault(text,boolean)",
  "private.eligible(uuid[])",
  "private.advance_backfill(text,integer)",
  "private.count_eligible(text)",
  "private.embedding_problems(text,text)",
  "private.repair_pairs(private.judged_pair[],boolean)",
  "read_embedding_jobs(uuid[])",
  "private.visible_rows(private.embedding_sources,text[])",
  "private.visible_ids(private.embedding_sources,integer)",
]);

test("plpgsql_check finds nothing in any function, with every warning that it knows", () =>
  inVain(async (tx) => {
    await tx.query("create extension plpgsql_check with schema extensions");
    // A trigger function is checked for each table that it serves; one that serves none would be dead code.
    const { rows: routines } = await tx.query<
      { routine: string; oid: string; relation: string; oldTable: string | null; newTable: string | null }
    >(`
      select p.oid, p.oid::regprocedure::text as routine, coalesce(t.tgrelid, 0) as relation,
             t.tgoldtable as "oldTable", t.tgnewtable as "newTable"
      from pg_catalog.pg_proc as p
      join pg_catalog.pg_language as l on l.oid = p.prolang and l.lanname = 'plpgsql'
      left join pg_catalog.pg_trigger as t on t.tgfoid = p.oid
      where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)`);
    expect(routines.length, "functions to check").toBeGreaterThan(0);

    const findings: Finding[] = [];
    for (const { routine, oid, relation, oldTable, newTable } of routines) {
      const { rows } = await tx.query<Finding>(
        `select $1 as routine, lineno as line, level, concat_ws(E'\\n', message, detail, hint, query) as message
         from extensions.plpgsql_check_function_tb(
           $2::oid, $3::oid, oldtable := $4, newtable := $5, fatal_errors := false, other_warnings := true, extra_warnings := true,
           performance_warnings := true, security_warnings := true, compatibility_warnings := true)`,
        [routine, oid, relation, oldTable, newTable],
      );
      // Where a function builds its statements it says itself that it cannot tell; whatever it can tell counts.
      const told = rows.filter(({ message }) => !message.includes("cannot to determine"));
      findings.push(...told.filter(({ level }) => !(level === "security" && RUNS_EXPRESSIONS.has(routine))));
    }
    expect(findings).toEqual([]);
  }));
