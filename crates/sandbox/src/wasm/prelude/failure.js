// From whatever was thrown to Lambda's error object, with the tenant's own files and lines.
const FRAMES_MAX = 50;
// Characters of a message, twice what the host keeps.
const TEXT_MAX = 16384;
// What the prelude knows of an error beyond the error itself: { type, frame, layer, from: the error that it tells of }.
const details = new WeakMap();
// While the package is evaluated, a message starts with the place of the mistake.
let building = true;

// The tenant's frames, in the lines of its sources. From the engine's own text, unless the code has put another in its place:
// there, a header like the error's own is none of the frames, whatever it says.
function framesOf(error) {
  const isEngines = isError(error) && getOwnPropertyDescriptor(error, "stack") === undefined;
  let text = isEngines ? weakGet(engineTexts, error) ?? apply(engineStack.get, error, []) : error.stack;
  if (typeof text !== "string") return [];
  let head = "";
  try { head = headOf(error); } catch {}
  if (startsWith(text, `${head}\n`)) text = slice(text, head.length);
  const frames = framesIn(text, false);
  if (frames.length > FRAMES_MAX) frames.length = FRAMES_MAX;
  traceBack(frames);
  return frames;
}

// What was thrown and is no error, in words.
function shownThrown(value) {
  try { return typeof value === "object" && value !== null ? show(value, 1, { length: 0 }) : GlobalString(value); } catch { return "[value that cannot be shown]"; }
}

function describe(error) {
  if (!isError(error)) return stringify({ errorType: typeof error, errorMessage: shownThrown(error), stackTrace: [] });
  const known = weakGet(details, error);
  let type = "Error", message = "", frames = [];
  try { type = known?.type ?? GlobalString(error.name); } catch {}
  try { message = GlobalString(error.message); } catch {}
  try { frames = framesOf(known?.from ?? error); } catch {}
  if (known?.frame !== undefined) frames = [known.frame];
  if (building && frames.length > 0) {
    // The last frame is the tenant's, so there is one that has a place.
    let own = 0;
    while (endsWith(frames[own], "(native)")) own++;
    message = `${placeOf(frames[own])}: ${message}`;
  }
  // What is longer is cut by the host too, which need not read all of it.
  if (message.length > TEXT_MAX) message = slice(message, 0, TEXT_MAX);
  if (type.length > TEXT_MAX) type = slice(type, 0, TEXT_MAX);
  if (known?.layer !== undefined) message = `layer ${known.layer}: ${message}`;
  // Null prototypes: `toJSON` put on Object.prototype or Array.prototype must not speak for us.
  return stringify({ __proto__: null, errorType: type, errorMessage: message, stackTrace: plain(frames) });
}

function plain(frames) {
  defineProperty(frames, "toJSON", { value: undefined });
  return frames;
}

// An error whose type and place the prelude knows better than the engine.
function failure(type, message, frame) {
  const error = new GlobalError(message);
  weakSet(details, error, { type, frame });
  return error;
}
