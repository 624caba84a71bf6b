// A stack that a tenant prepares for itself (`Error.prepareStackTrace`) is made of call sites, and a call site would hand
// out the function it stands for: those of this prelude too. Where and by what name is all that it tells.
{
  const sites = [];
  GlobalError.prepareStackTrace = (error, found) => { defineProperty(sites, 0, { value: found[0] }); };
  new GlobalError("for its stack").stack;
  GlobalError.prepareStackTrace = undefined;
  if (sites[0] !== undefined) defineProperty(getPrototypeOf(sites[0]), "getFunction", { value: () => undefined });
}
