// As little as the engine needs around a handler: no modules, no console, no web API. What the language benchmark and the
// test262 example hold the product's prelude against.
(function (host) {
    let handler;
    return {
        resolve: (base, key) => key,
        load: (key) => "",
        async build(request) {
            const file = host.ask(121, request.handler[0]).slice(1);
            const source = file.replace(/^(export const handler =|exports.handler =)|;\s*$/g, "");
            handler = host.script(`\n\n(${source})`, "index.js");
            return "null";
        },
        async attempt(event, context) { return JSON.stringify(await handler(event, context)); },
        describe: (error) => JSON.stringify({ errorType: "Error", errorMessage: String(error), stackTrace: [] }),
        due: () => -2,
        turn() {},
        unhandled() {},
        done() {},
    };
})
