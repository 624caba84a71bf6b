// Asserts for the cases in this folder: each file is one area, run inside the engine by webapi.rs.
const failures = [];
let label = "";

export function test(name, body) {
  cases.push([name, body]);
}
const cases = [];

const show = (value) => {
  try { return typeof value === "string" ? JSON.stringify(value) : value instanceof Error ? `${value.name}: ${value.message}` : (JSON.stringify(value) ?? String(value)); } catch { return String(value); }
};

export function equal(found, expected, what = "") {
  if (!Object.is(found, expected)) failures.push(`${label}: ${what} ${show(found)} instead of ${show(expected)}`);
}

// By their JSON.
export function same(found, expected, what = "") {
  if (JSON.stringify(found) !== JSON.stringify(expected)) failures.push(`${label}: ${what} ${show(found)} instead of ${show(expected)}`);
}

export function ok(truth, what = "") {
  if (!truth) failures.push(`${label}: not so: ${what}`);
}

// `name` is the error's name; a promise may reject with it.
export function throws(name, body, what = body.toString()) {
  try {
    body();
  } catch (error) {
    if (error?.name !== name) failures.push(`${label}: ${what} threw ${show(error)} instead of a ${name}`);
    return error;
  }
  failures.push(`${label}: ${what} did not throw`);
}

export async function rejects(name, promise, what = "the promise") {
  try {
    await promise;
  } catch (error) {
    if (error?.name !== name) failures.push(`${label}: ${what} rejected with ${show(error)} instead of a ${name}`);
    return error;
  }
  failures.push(`${label}: ${what} did not reject`);
}

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// The handler: runs every case and answers with what failed.
export async function run() {
  for (const [name, body] of cases) {
    label = name;
    try {
      await body();
    } catch (error) {
      failures.push(`${label}: threw ${show(error)} ${error?.stack ?? ""}`);
    }
  }
  return { ran: cases.length, failures };
}
