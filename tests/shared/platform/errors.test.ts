import { describe, expect, it } from "vitest";
import {
  AccordError,
  DatabaseError,
  errorBodyOf,
  InvalidRequestError,
  RefusedError,
} from "../../../shared/platform/errors.ts";
import { rpcOf } from "../../../shared/platform/rpc.ts";

describe("errors", () => {
  it("keep their cause, and tell callers code, message and details alone", () => {
    const cause = new Error("connection string postgres://secret");
    const error = new InvalidRequestError("batchSize must be from 1 to 500, not 0", {
      cause,
      details: { batchSize: 0 },
    });
    expect(error.cause).toBe(cause);
    expect(errorBodyOf(error)).toEqual({
      error: { code: "invalid_request", message: "batchSize must be from 1 to 500, not 0", details: { batchSize: 0 } },
    });
  });

  it("have the status that fits whose fault it is", () => {
    expect(new InvalidRequestError("").status).toBe(400);
    expect(new RefusedError("unauthorized", "").status).toBe(401);
    expect(new RefusedError("forbidden", "").status).toBe(403);
    expect(new DatabaseError("").status).toBe(502);
    expect(new AccordError("internal_error", "").status).toBe(500);
  });
});

describe("a database function", () => {
  const failing = (status: number) =>
    rpcOf({
      rpc: () =>
        Promise.resolve({
          data: null,
          status,
          error: { message: "no setting", code: "22023", hint: "list them", details: null },
        }),
    });

  it("gives what it returns", async () => {
    const rpc = rpcOf({ rpc: (name, args) => Promise.resolve({ data: [name, args], error: null, status: 200 }) });
    expect(await rpc("set_setting", { name: "a" })).toEqual(["set_setting", { name: "a" }]);
  });

  it("that refuses is the caller's fault, with the database's own code and hint", async () => {
    await expect(failing(400)("set_setting")).rejects.toMatchObject({
      status: 400,
      message: "set_setting: no setting",
      details: { code: "22023", hint: "list them" },
    });
  });

  it("that cannot be reached is nobody's but the database's", async () => {
    await expect(failing(0)("set_setting")).rejects.toMatchObject({ status: 502 });
    await expect(failing(503)("set_setting")).rejects.toMatchObject({ status: 502 });
  });
});
