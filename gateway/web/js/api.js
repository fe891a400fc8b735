// The gateway's HTTP side: JSON in, JSON out, problem+json as errors, and the session's token.
// Knows the addresses; knows nothing of what a page does with the answers.

const TOKEN_KEY = "strapontin.session";
const TIMEOUT_MS = 20_000;

/** The server's refusal: `code` is stable, `status` the HTTP one, `problem` the whole body. */
export class Problem extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.status = status;
    this.code = problem.code ?? "";
    this.problem = problem;
  }
}

/** Nobody answered: whether it happened is unknown, the same request may be repeated. */
export class Unreachable extends Error {}

/** The buyer's session token; made at first use, kept in this browser. */
export async function sessionToken(refused = false) {
  const known = refused ? null : localStorage.getItem(TOKEN_KEY);
  if (known) return known;
  const { token } = await send("POST", "/api/session", {});
  localStorage.setItem(TOKEN_KEY, token);
  return token;
}

export const house = () => send("GET", "/api/house");
export const messages = (language) => send("GET", `/api/messages/${language}`);
export const performances = (token) => send("GET", "/api/performances", undefined, token);
export const performance = (id) => send("GET", `/api/performances/${id}`);
export const plan = (hash) => send("GET", `/api/plans/${hash}`);
export const quote = (wanted) => asSession("POST", "/api/quote", wanted);
export const placeOrder = (order) => asSession("POST", "/api/orders", order);
export const order = (id) => asSession("GET", `/api/orders/${id}`);
export const pay = (id, payment) => asSession("POST", `/api/orders/${id}/pay`, payment);
export const reserve = (id, kind) => asSession("POST", `/api/orders/${id}/reserve`, { kind });
export const exchange = (id, wanted) => asSession("POST", `/api/orders/${id}/exchange`, wanted);
export const giveBack = (id, wanted) => asSession("POST", `/api/orders/${id}/return`, wanted);
export const papers = (id) => asSession("GET", `/api/orders/${id}/papers`);
export const invoice = (id, client, language) => (
  asSession("POST", `/api/orders/${id}/invoice?lang=${language}`, client)
);
export const cancelOrder = (id) => asSession("POST", `/api/orders/${id}/cancel`, {});
export const cancelExchange = (id, exchange) => asSession("POST", `/api/orders/${id}/cancel?exchange=${exchange}`, {});
export const enrol = (token) => send("POST", "/api/enrol", { token });
/** What changed at a performance's doors after `since`, its tickets from `first`; `kept` are not sent. */
export const doorList = (token, performance, since, first, kept) => {
  const query = new URLSearchParams({ since, first, kept });
  return send("GET", `/api/performances/${performance}/door-list?${query}`, undefined, token);
};
export const ticketsAddress = (id, language) => `/api/orders/${id}/tickets.pdf?lang=${language}`;
export const paperAddress = (id, name) => `/api/orders/${id}/papers/${name}`;
export const giftCardsAddress = (id, language) => `/api/orders/${id}/gift-cards.pdf?lang=${language}`;
export const receiptAddress = (id, language) => `/api/orders/${id}/receipt.pdf?lang=${language}`;

async function asSession(method, path, body) {
  try {
    return await send(method, path, body, await sessionToken());
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 401) throw error;
    return send(method, path, body, await sessionToken(true));
  }
}

async function send(method, path, body, token) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new Unreachable(path);
  }
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({}));
  // 5xx is nobody's decision: to the caller it is as if no answer had come.
  if (response.status >= 500) throw new Unreachable(path);
  throw new Problem(response.status, problem);
}
