// What this browser keeps between pages and visits: the hold's token and the order being paid, per
// performance. Saved before anything is sent, so that a reload repeats instead of starting over.
// And the admission from a waiting room, which lets every tab of this browser in.

const admissionKey = (performance) => `strapontin.admission.${performance}`;
const basketKey = (performance) => `strapontin.basket.${performance}`;
const attemptKey = (order) => `strapontin.attempt.${order}`;
const orderKey = (performance) => `strapontin.order.${performance}`;

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

/** {token (hex), types: {place: price type}} or null. */
export const keptBasket = (performance) => read(basketKey(performance));
export const keepBasket = (performance, basket) => localStorage.setItem(basketKey(performance), JSON.stringify(basket));
export const forgetBasket = (performance) => localStorage.removeItem(basketKey(performance));

/** {id, attempt} of the order made from the basket, or null. */
export const keptOrder = (performance) => read(orderKey(performance));
export const keepOrder = (performance, order) => localStorage.setItem(orderKey(performance), JSON.stringify(order));
export const forgetOrder = (performance) => localStorage.removeItem(orderKey(performance));

/** The attempt to pay an order that was reserved, or null. */
export const keptAttempt = (order) => read(attemptKey(order));
export const keepAttempt = (order, attempt) => localStorage.setItem(attemptKey(order), JSON.stringify(attempt));
export const forgetAttempt = (order) => localStorage.removeItem(attemptKey(order));

/** {admission, expires_ms, number, on_sale_ms} of the `number`th who came to the draw at `on_sale_ms`, or null. */
export const keptAdmission = (performance) => read(admissionKey(performance));
export const keepAdmission = (performance, admission) =>
  localStorage.setItem(admissionKey(performance), JSON.stringify(admission));
export const forgetAdmission = (performance) => localStorage.removeItem(admissionKey(performance));
/** Whether a "storage" event is about this performance's admission: another tab was let in. */
export const isAdmission = (event, performance) => event.key === admissionKey(performance);

/** {name, email} as last typed, so that nobody types them twice. */
export const keptBuyer = () => read("strapontin.buyer") ?? { name: "", email: "" };
export const keepBuyer = (buyer) => localStorage.setItem("strapontin.buyer", JSON.stringify(buyer));

/** 32 hexadecimal characters from a good source: an order's id, a payment's attempt. */
export function freshId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
