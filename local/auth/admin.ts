import { z } from "zod";
import { bearerClaims, isUuid } from "./account.ts";
import { flag, metadata, optionalText, readBody, requireEmail, text } from "./body.ts";
import type { AuthContext } from "./context.ts";
import { secondsOf } from "./duration.ts";
import { hashPassword, requireBcryptHash, requireStrongPassword } from "./passwords.ts";
import { AuthRefusal } from "./refusal.ts";
import { endSessions } from "./sessions.ts";
import { deleteUser, forgetUser, insertUser, saving, updateUser } from "./user-changes.ts";
import { findUserByEmail, findUserById, listUsers, type Page, presentUser } from "./users.ts";

const userFields = z.object({
  id: text,
  aud: text,
  role: text,
  email: text,
  phone: text,
  password: optionalText,
  password_hash: text,
  email_confirm: flag,
  phone_confirm: flag,
  user_metadata: metadata,
  app_metadata: metadata,
  ban_duration: text,
});

/** `GET /admin/users` */
export async function adminListUsers(context: AuthContext, request: Request): Promise<Response> {
  const url = new URL(request.url);
  const page: Page = { number: pageParameter(url, "page", 1), size: pageParameter(url, "per_page", 50) };
  const { users, total } = await context.transact((tx) => listUsers(tx, page, url.searchParams.get("filter") ?? ""));
  return Response.json({ users: users.map(presentUser), aud: "authenticated" }, {
    headers: { "x-total-count": String(total), link: linkHeader(url, page, total) },
  });
}

function pageParameter(url: URL, name: string, fallback: number): number {
  const value = url.searchParams.get(name) ?? "";
  if (value === "") return fallback;
  if (!/^\d{1,9}$/.test(value)) {
    throw new AuthRefusal(400, "validation_failed", `Bad Pagination Parameters: ${name} is "${value}"`);
  }
  return Math.max(Number(value), 1);
}

function linkHeader(url: URL, page: Page, total: number): string {
  const last = Math.ceil(total / page.size);
  const link = (number: number, rel: string) => {
    const query = new URLSearchParams(url.searchParams);
    query.set("page", String(number));
    return `</admin/users?${query}>; rel="${rel}"`;
  };
  return [...(last > page.number ? [link(page.number + 1, "next")] : []), link(last, "last")].join(", ");
}

/** `POST /admin/users` */
export async function adminCreateUser(context: AuthContext, request: Request): Promise<Response> {
  const body = await readBody(request, userFields);
  if (body.email === "" && body.phone === "") {
    throw new AuthRefusal(400, "validation_failed", "Cannot create a user without either an email or phone");
  }
  if (body.password !== undefined && body.password_hash !== "") {
    throw new AuthRefusal(400, "validation_failed", "Only a password or a password hash should be provided");
  }
  if (body.id !== "" && !isUuid(body.id)) {
    throw new AuthRefusal(400, "validation_failed", "ID must conform to the uuid v4 format");
  }
  const email = body.email === "" ? undefined : requireEmail(body.email);
  const phone = body.phone === "" ? undefined : requirePhone(body.phone);
  const givenHash = body.password_hash === "" ? undefined : requireBcryptHash(body.password_hash);
  const bannedForSeconds = secondsOf(body.ban_duration);

  const user = await context.transact(async (tx) => {
    if (email !== undefined && await findUserByEmail(tx, email)) throw emailExists();
    // Without a password there is nothing to sign in with; GoTrue sets one that nobody knows.
    const passwordHash = givenHash ?? (body.password ? await hashPassword(tx, body.password) : "");
    return await saving("Database error creating new user", async () => {
      const id = await insertUser(tx, {
        id: body.id === "" ? undefined : body.id,
        aud: body.aud === "" ? "authenticated" : body.aud,
        role: body.role === "" ? "authenticated" : body.role,
        email,
        phone,
        passwordHash,
        appMetadata: body.app_metadata ?? {},
        userMetadata: body.user_metadata ?? {},
      });
      return await updateUser(tx, id, {
        confirmEmail: body.email_confirm,
        confirmPhone: body.phone_confirm,
        bannedForSeconds,
      });
    });
  });
  return Response.json(presentUser(user));
}

/** `GET /admin/users/:id` */
export async function adminShowUser(context: AuthContext, _request: Request, id: string): Promise<Response> {
  requireUserId(id);
  const user = await context.transact((tx) => findUserById(tx, id));
  if (user === undefined) throw userNotFound();
  return Response.json(presentUser(user));
}

/** `PUT /admin/users/:id` */
export async function adminChangeUser(context: AuthContext, request: Request, id: string): Promise<Response> {
  requireUserId(id);
  const body = await readBody(request, userFields);
  const email = body.email === "" ? undefined : requireEmail(body.email);
  const phone = body.phone === "" ? undefined : requirePhone(body.phone);
  const bannedForSeconds = secondsOf(body.ban_duration);
  if (body.password !== undefined) requireStrongPassword(body.password);

  const user = await context.transact(async (tx) => {
    if (await findUserById(tx, id) === undefined) throw userNotFound();
    if (email !== undefined) {
      const owner = await findUserByEmail(tx, email);
      if (owner !== undefined && owner.id !== id) throw emailExists();
    }
    const passwordHash = body.password === undefined ? undefined : await hashPassword(tx, body.password);
    if (passwordHash !== undefined) await endSessions(tx, id, "global");
    return await saving("Error updating user", () =>
      updateUser(tx, id, {
        role: body.role === "" ? undefined : body.role,
        email,
        phone,
        confirmEmail: body.email_confirm,
        confirmPhone: body.phone_confirm,
        passwordHash,
        appMetadata: body.app_metadata,
        userMetadata: body.user_metadata,
        bannedForSeconds,
      }));
  });
  return Response.json(presentUser(user));
}

/** `DELETE /admin/users/:id` */
export async function adminDeleteUser(context: AuthContext, request: Request, id: string): Promise<Response> {
  requireUserId(id);
  const { should_soft_delete } = await readBody(request, z.object({ should_soft_delete: flag }), { mayBeEmpty: true });
  await context.transact(async (tx) => {
    if (await findUserById(tx, id) === undefined) throw userNotFound();
    const remove = should_soft_delete ? forgetUser : deleteUser;
    await saving("Database error deleting user", () => remove(tx, id));
  });
  return Response.json({});
}

/** Only the service role gets past; the secret key becomes it at the gateway. */
export async function requireAdmin(request: Request): Promise<void> {
  const { role } = await bearerClaims(request);
  if (role !== "service_role" && role !== "supabase_admin") {
    throw new AuthRefusal(403, "not_admin", "User not allowed");
  }
}

function requireUserId(id: string): void {
  if (!isUuid(id)) throw new AuthRefusal(404, "validation_failed", "user_id must be an UUID");
}

function requirePhone(phone: string): string {
  const digits = phone.replace(/^\+|\s/g, "");
  if (/^[1-9]\d{1,14}$/.test(digits)) return digits;
  throw new AuthRefusal(400, "validation_failed", "Invalid phone number format (E.164 required)");
}

function emailExists(): AuthRefusal {
  return new AuthRefusal(422, "email_exists", "A user with this email address has already been registered");
}

function userNotFound(): AuthRefusal {
  return new AuthRefusal(404, "user_not_found", "User not found");
}
