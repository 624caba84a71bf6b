//! Variables that hold secrets: there in an attempt, nowhere in an image, and not to be read before.

use sublet_sandbox::Failure;

use crate::support::{Built, Options, build, js, run_with, task};

fn built(code: &str) -> Result<Built, Failure> {
    let options =
        Options { environment: &[("GREETING", "hello")], secret_names: &["STRIPE", "PIN"], ..Options::default() };
    build(Options { files: &[("index.mjs", code)], ..options })
}

#[test]
fn an_attempt_has_the_values_that_a_build_has_not() {
    let code = "const known = 'STRIPE' in process.env;
        export const handler = () => [known, process.env.STRIPE, process.env.PIN, process.env.GREETING, { ...process.env }.PIN];";
    let built = built(code).unwrap();
    for value in ["sk_live_1", "sk_live_2"] {
        let mut task = task("{}", 1);
        task.environment_json = serde_json::json!({"STRIPE": value, "PIN": "123456"}).to_string().into();
        assert_eq!(js(&run_with(&built, task)), format!(r#"[true,"{value}","123456","hello","123456"]"#));
    }
}

#[test]
fn reading_a_secret_at_top_level_fails_the_build_with_its_line() {
    for (code, line) in [
        ("\nconst key = process.env.STRIPE;\nexport const handler = () => key;", 2),
        ("const all = { ...process.env };\nexport const handler = () => all;", 1),
        ("let key;\n\ntry { key = process.env.STRIPE; } catch {}\nexport const handler = () => key;", 3),
        (
            "let key;\n(async () => { for (let i = 0; i < 50; i++) await null;\n\
             try { key = process.env.STRIPE; } catch {} })();\nexport const handler = () => key;",
            3,
        ),
        ("const { STRIPE } = process.env;\nexport const handler = () => STRIPE;", 1),
        ("const text = JSON.stringify(process.env);\nexport const handler = () => text;", 1),
    ] {
        let Err(failure) = built(code) else { panic!("{code}") };
        assert_eq!(failure.error_type, "Sublet.SecretAtTopLevel", "{failure:?}");
        let place = format!("index.mjs:{line}:");
        assert!(failure.error_message.starts_with(&place), "{failure:?}");
        let why =
            "reads the secret variable STRIPE at top level: it would be frozen into the image; read it in the handler";
        assert!(failure.error_message.ends_with(why), "{failure:?}");
    }
    let nothing_read =
        "console.log(Object.keys(process.env).length, process.env.GREETING);\nexport const handler = () => 1;";
    assert_eq!(built(nothing_read).unwrap().log, "INFO 3 hello\n");
}
