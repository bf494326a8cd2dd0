import { z } from "zod";
import { metadata, readBody, requireEmail, text } from "./body.ts";
import type { AuthContext } from "./context.ts";
import { hashPassword, passwordMatches, requireStrongPassword } from "./passwords.ts";
import { refreshSession } from "./refresh.ts";
import { AuthRefusal } from "./refusal.ts";
import { sessionResponse, startSession } from "./sessions.ts";
import { insertUser, saving, updateUser } from "./user-changes.ts";
import { findUserByEmail, isBanned } from "./users.ts";

/** `POST /token` */
export async function issueToken(context: AuthContext, request: Request): Promise<Response> {
  switch (new URL(request.url).searchParams.get("grant_type")) {
    case "password":
      return await signInWithPassword(context, request);
    case "refresh_token":
      return await refreshSession(context, request);
    default:
      throw new AuthRefusal(400, "invalid_credentials", "unsupported_grant_type");
  }
}

async function signInWithPassword(context: AuthContext, request: Request): Promise<Response> {
  const { email, phone, password } = await readBody(request, z.object({ email: text, phone: text, password: text }));
  if (email !== "" && phone !== "") {
    throw new AuthRefusal(
      400,
      "validation_failed",
      "Only an email address or phone number should be provided on login.",
    );
  }
  if (phone !== "") throw new AuthRefusal(422, "phone_provider_disabled", "Phone logins are disabled");
  if (email === "") throw new AuthRefusal(400, "validation_failed", "missing email or phone");

  const { user, session } = await context.transact(async (tx) => {
    const user = await findUserByEmail(tx, email);
    if (user === undefined) throw invalidCredentials();
    if (isBanned(user)) throw new AuthRefusal(400, "user_banned", "User is banned");
    if (!await passwordMatches(tx, user.id, password)) throw invalidCredentials();
    if (user.email_confirmed_at === null) throw new AuthRefusal(400, "email_not_confirmed", "Email not confirmed");
    return { user, session: await startSession(tx, user, request) };
  });
  return await sessionResponse(user, session, context.issuer);
}

function invalidCredentials(): AuthRefusal {
  return new AuthRefusal(400, "invalid_credentials", "Invalid login credentials");
}

/** `POST /signup`: confirmed at once, as in `supabase start`, because there is no mail to confirm by. */
export async function signUp(context: AuthContext, request: Request): Promise<Response> {
  const body = await readBody(request, z.object({ email: text, phone: text, password: text, data: metadata }));
  if (body.email === "" && body.phone === "") {
    throw new AuthRefusal(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled");
  }
  if (body.password === "") throw new AuthRefusal(400, "validation_failed", "Signup requires a valid password");
  requireStrongPassword(body.password);
  if (body.phone !== "") throw new AuthRefusal(400, "phone_provider_disabled", "Phone signups are disabled");
  const email = requireEmail(body.email);

  const { user, session } = await context.transact(async (tx) => {
    if (await findUserByEmail(tx, email)) {
      throw new AuthRefusal(422, "user_already_exists", "User already registered");
    }
    const passwordHash = await hashPassword(tx, body.password);
    const user = await saving("Database error saving new user", async () => {
      const id = await insertUser(tx, {
        aud: "authenticated",
        role: "authenticated",
        email,
        phone: undefined,
        passwordHash,
        appMetadata: {},
        userMetadata: body.data ?? {},
      }, body.data);
      const verified = { sub: id, email, email_verified: true, phone_verified: false };
      return await updateUser(tx, id, { confirmEmail: true, userMetadata: { ...body.data, ...verified } });
    });
    return { user, session: await startSession(tx, user, request) };
  });
  return await sessionResponse(user, session, context.issuer);
}
