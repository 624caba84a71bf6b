// What this place says of itself.
const USER_AGENT = "Sublet";

class Navigator {
  constructor() {
    if (globalThis.navigator instanceof Navigator) throw new TypeError("Illegal constructor");
  }
  get userAgent() { return USER_AGENT; }
  get language() { return "en-US"; }
  get languages() { return Object.freeze(["en-US"]); }
  get hardwareConcurrency() { return 1; }
}
expose("navigator", new Navigator());
exposeClass(Navigator);
