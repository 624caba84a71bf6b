//! Reaching what lies outside: files, the host's environment, the network, other tenants' code.

use super::program::{Program, finds_nothing, refused, returns};

const SECRET_READ: &[&str] = &["Sublet.SecretAtTopLevel"];
const NO_MODULE: &[&str] = &["Runtime.ImportModuleError"];

pub(super) const PROGRAMS: &[Program] = &[
    returns(
        "host-environment",
        "The environment holds what the function was given, and nothing of the host's",
        "return Object.keys(process.env).filter((name) => !['GREETING', 'TOKEN'].includes(name));",
        "[]",
    ),
    finds_nothing(
        "host-files-by-import",
        "No path, no URL and no scheme leads to a file of the host's",
        "const found = [];
        for (const name of [
            '/etc/passwd', '/proc/self/environ', '/proc/1/cmdline', '../../../../etc/passwd', './../../../../../../proc/self/maps',
            'file:///etc/passwd', 'file:/etc/passwd', 'FILE:///etc/passwd', '//etc/passwd', '/./etc/passwd', '/opt/../etc/passwd', '/etc/passwd\\u0000.js',
            '%2e%2e/%2e%2e/etc/passwd', '..\\\\..\\\\etc\\\\passwd', 'http://127.0.0.1/x.js', 'https://example.com/x.mjs', '//example.com/x.js',
            'data:text/javascript,export default 1', 'blob:x', 'javascript:1', 'node:fs', 'fs', 'node:child_process', 'child_process', 'node:net', 'net',
            'node:worker_threads', 'worker_threads', 'node:vm', 'node:process', 'node:os', 'node:module', 'node:v8', 'node:inspector', 'node:dgram', 'node:cluster',
            'std', 'os', 'qjs:std', 'qjs:os', 'bjson', 'sublet:prelude', 'sublet:host', 'wasi:filesystem/types', 'deno:core', 'bun:ffi', 'npm:left-pad', '#internal', '',
        ]) {
            try { const got = await import(name); found.push([name, Object.keys(got).slice(0, 3)]); } catch {}
        }
        return found.filter(([name]) => !['node:process', 'node:os', 'node:module', 'os'].includes(name));",
    ),
    finds_nothing(
        "other-tenants-layers",
        "A layer that the function does not name is not there",
        "const found = [];
        for (const name of ['/opt/todo-kit/index.js', '/opt/acme/index.js', '../opt/todo-kit/index.js', 'todo-kit', '/opt', '/opt/', '/opt/.', '/var/task/index.mjs', '/opt/nodejs/node_modules/x']) {
            try { await import(name); found.push(name); } catch {}
        }
        return found;",
    ),
    returns(
        "own-files-are-not-files",
        "A module's own place tells nothing of the host's",
        "return [String(import.meta.url ?? ''), String(import.meta.filename ?? ''), String(import.meta.dirname ?? '')].some((place) => /proc|home|root|tmp|work/.test(place));",
        "false",
    ),
    refused("static-import-of-a-host-file", "An import of the host's files fails the deploy", "import data from '/etc/passwd'; export const handler = () => data;", NO_MODULE),
    refused("static-import-of-a-url", "An import from the network fails the deploy", "import data from 'http://169.254.169.254/latest/meta-data/'; export const handler = () => data;", NO_MODULE),
    refused("static-import-of-processes", "An import of processes fails the deploy", "import { execSync } from 'node:child_process'; export const handler = () => execSync('id').toString();", NO_MODULE),
    refused("static-import-of-files", "An import of the file system fails the deploy", "import { readFileSync } from 'node:fs'; export const handler = () => readFileSync('/etc/passwd', 'utf8');", NO_MODULE),
    refused("static-import-of-sockets", "An import of sockets fails the deploy", "import net from 'node:net'; export const handler = () => net.connect(22, '127.0.0.1');", NO_MODULE),
    refused("require-of-a-host-file", "A require of the host's files fails the deploy", "import { createRequire } from 'node:module'; export const handler = () => createRequire('/')('/etc/passwd');", NO_MODULE),
    refused(
        "secret-at-top-level",
        "A secret that the top level reads is not frozen into the image",
        "const token = process.env.TOKEN; export const handler = () => token;",
        SECRET_READ,
    ),
    refused(
        "secret-at-top-level-by-a-copy",
        "Nor one that is copied along with everything else",
        "const all = { ...process.env }; export const handler = () => all.TOKEN;",
        SECRET_READ,
    ),
    refused(
        "secret-at-top-level-caught",
        "Nor one whose refusal was caught",
        "let token; try { token = process.env.TOKEN; } catch (e) { token = e.message; } export const handler = () => token;",
        SECRET_READ,
    ),
    finds_nothing(
        "network-without-a-list",
        "Without a list of addresses there is no network, in no spelling",
        "const found = [];
        for (const url of ['http://127.0.0.1:7070/healthz', 'http://localhost/', 'http://169.254.169.254/latest/meta-data/', 'http://[::1]/', 'http://0/', 'http://2130706433/', 'https://example.com/', 'file:///etc/passwd', 'gopher://127.0.0.1/', 'data:,x']) {
            try { const response = await fetch(url); if (url !== 'data:,x') found.push([url, response.status]); } catch {}
        }
        return found;",
    ),
    returns(
        "time-is-coarse",
        "The finest clock that tenant code has is no finer than a microsecond",
        "let least = Infinity; for (let i = 0; i < 2000; i++) { const a = globalThis.performance?.now?.() ?? Date.now(); const b = globalThis.performance?.now?.() ?? Date.now(); if (b > a) least = Math.min(least, b - a); }
        return least >= 0.0009;",
        "true",
    ),
];
