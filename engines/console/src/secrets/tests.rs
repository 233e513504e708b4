use super::*;
use proptest::prelude::*;

/// A text and the secret in it. Joined from parts, so that no scanner takes this file for a leak.
fn planted() -> Vec<(String, String)> {
    let long = "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5z";
    let hex = "0123456789abcdef0123456789abcdef";
    let mut all = Vec::new();
    let mut plant = |before: &str, secret: String, after: &str| {
        all.push((format!("{before}{secret}{after}"), secret));
    };
    for (lead, rest) in [
        ("AKIA", "IOSFODNN7EXAMPLE"),
        ("ASIA", "IOSFODNN7EXAMPL2"),
        ("ghp_", long),
        ("gho_", long),
        ("ghs_", long),
        ("github_pat_", "11AAAAAAA0aaaaaaaaaaaa_bbbbbbbbbbbbbbbbb"),
        ("glpat-", "abcdEFGH1234-_ijklmn"),
        ("xoxb-", "123456789012-1234567890123-abcdefABCDEF"),
        ("xoxp-", "1234567890-abcdef"),
        ("sk_live_", "4eC39HqLyjWDarjtT1zdp7dc"),
        ("rk_live_", "4eC39HqLyjWDarjtT1zdp7dc"),
        ("AIza", "SyA1234567890abcdefghijklmnopqrstuv"),
        ("sk-ant-", "api03-abcdefghijklmnopqrstuvwxyz0123456789"),
        ("sk-proj-", "abcd1234efgh5678ijkl"),
        ("sk-", "abcdEFGH1234ijklMNOP5678qrst"),
        ("npm_", long),
        ("pypi-", "AgEIcHlwaS5vcmcCJDAwMDAwMDAwLTAwMDAtMDAwMA"),
        ("SG.", "abcdefghij1234567890ab.abcdefghij1234567890abcdefghij1234567890abc"),
        ("hf_", long),
        (
            "eyJ",
            "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
        ),
    ] {
        let token = format!("{lead}{rest}");
        for (before, after) in [
            ("", ""),
            ("echo ", " | cat"),
            ("curl https://h/?k=", "&x=1"),
            ("{\"k\":\"", "\"}"),
            ("line\\n", "\\nline"),
            ("(", ")"),
        ] {
            plant(before, token.clone(), after);
        }
    }
    for (before, secret, after) in [
        ("export AWS_SECRET_ACCESS_KEY=", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "\n"),
        ("aws_secret_access_key = ", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "\n"),
        ("PASSWORD=", "hunter2", " ./run"),
        ("DB_PASSWORD='", "correct horse", "' psql"),
        ("password: ", "hunter2", "\n"),
        ("{\"password\": \"", "swordfish", "\"}"),
        ("{\\\"password\\\": \\\"", "swordfish", "\\\"}"),
        ("{\"api_key\":\"", hex, "\"}"),
        ("const apiKey = \"", hex, "\";"),
        ("x-api-key: ", hex, "\r\n"),
        ("--password ", "hunter2", " --host h"),
        ("--password=", "hunter2", ""),
        ("--token ", hex, ""),
        ("client_secret=", "abc123def456", "&grant_type=x"),
        ("<password>", "hunter2", "</password>"),
        ("os.environ[\"API_TOKEN\"] = \"", "abc123def456ghi7", "\""),
        ("curl -H \"Authorization: Bearer ", "abcdef123456", "\" https://h"),
        ("curl -H 'Authorization: Basic ", "dXNlcjpwYXNzd29yZA==", "' https://h"),
        ("Authorization: token ", "abcdef0123456789", "\n"),
        ("\"Authorization\": \"Bearer ", "abcdef123456", "\""),
        ("postgres://app:", "s3cr3t", "@db.example:5432/x"),
        ("git clone https://me:", "pa/ss:w0rd", "@example.com/r.git"),
        ("https://", "0123456789abcdef0123456789abcdef01234567", "@github.com/x"),
        ("mongodb+srv://u:", "p%40ss", "@c.example/x"),
        ("redis://:", "hunter2", "@cache:6379"),
        ("Server=db;Uid=sa;Pwd=", "Hunter2!x9", ";"),
        ("host=h user=u password=", "hunter2", " dbname=d"),
        ("mysql -uroot -p", "hunter2", " shop"),
        ("mysqldump -p", "hunter2", " shop"),
        ("curl -u admin:", "hunter2", " https://h"),
        ("curl -uadmin:", "hunter2", " https://h"),
        ("sshpass -p ", "hunter2", " ssh h"),
        ("sshpass -p", "hunter2", " ssh h"),
        ("sshpass -v -p '", "correct horse", "' ssh h"),
        ("mysql -h db -p", "hunter2", ""),
        ("mariadb -p'", "correct horse", "' shop"),
        ("docker login -u me -p ", "hunter2", " registry.example"),
        ("podman login -p=", "hunter2", ""),
        ("redis-cli -h h -a ", "hunter2", " ping"),
        ("redis-cli --pass ", "hunter2", " ping"),
        ("openssl pkcs12 -in a -passin pass:", "hunter2", " -nodes"),
        ("openssl rsa -passin 'pass:", "correct horse", "'"),
        ("//registry.example/:_authToken=", "abc-123-def-456", "\n"),
        ("https://h/c?sv=1&sig=", "abc%2Bdef123456", "&x"),
        ("value ", "kJ8mN2pQ4rS6tV9wX1yZ3aB5cD7eF0gH2iJ4", " end"),
    ] {
        plant(before, secret.to_owned(), after);
    }
    all
}

#[test]
fn no_planted_secret_stays() {
    for (text, secret) in planted() {
        let shown = redact(&text);
        assert!(!shown.contains(&secret), "{secret} stays in {shown}");
        assert!(holds_secret(text.as_bytes()), "{text}");
        assert_eq!(redact(&shown), shown, "redacting twice changes {shown}");
    }
}

#[test]
fn a_private_key_goes_whole_and_a_certificate_stays() {
    let key = [
        "-----BEGIN OPENSSH PRIVATE",
        " KEY-----\nb3BlbnNz\naC1rZXk\n-----END OPENSSH PRIVATE KEY-----",
    ]
    .concat();
    assert_eq!(redact(&format!("a\n{key}\nb")), "a\n[redacted:private_key]\nb");
    let cut = &key[..60];
    assert_eq!(redact(cut), "[redacted:private_key]", "a block without its end");
    let public = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ2\n-----END CERTIFICATE-----";
    assert_eq!(redact(public), public);
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    for text in [
        "git checkout 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "commit 3f433f24b1c6a3ce7c5e0a4b8b6ab0a9c1d2e3f4",
        "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adf112b7cc9a93cae41f3262",
        "sha512-9QEbm2Yd0Cg3nBBRVRvMAbGVK1ZbAeUjzvVxh0eJc1P0yZgFEWyTZ9E6l4nNcf9rRMqU3yfZ1z2oMwD2nJ0rFw==",
        "0198c0de-0000-7000-8000-00000000beef",
        "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
        "/home/me/projects/VaultMesh2/engines/console/src/secrets/tests.rs",
        "fn verify_inclusion_of_leaf_hash_in_checkpoint_2(tree: &Tree)",
        "AbstractSingletonProxyFactoryBeanV2ConfigurationProvider",
        "password: String,",
        "fn login(user: &str, password: &str) -> Result<Token, Error>",
        "let token = lexer.next_token();",
        "max_tokens: 4096, token_count=17",
        "self.token = token",
        "password=password, token=token)",
        "PASSWORD=$DB_PASSWORD TOKEN=${TOKEN} ./run",
        "Authorization: Bearer $TOKEN",
        "Authorization: Bearer <token>",
        "the bearer of good news, authorization is needed",
        "https://example.com:8080/a@b",
        "docker run -u 1000:1000 image",
        "PWD=/home/me/work OLDPWD=/tmp",
        "token: [redacted:assigned]",
        "sk-circle-fade-dot-container",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@host",
        "passwords must be long",
        "docker login -p $TOKEN registry.example",
        "openssl rsa -passin pass:$PASS",
        "all tests pass: yes",
        "mysql -u root shop",
        "auth: required",
    ] {
        assert_eq!(redact(text), text);
    }
}

#[test]
fn stores_of_secrets_are_known_by_their_names() {
    for path in [
        ".env",
        "a/.env.local",
        "k/server.PEM",
        "id_rsa",
        "/h/.ssh/id_ed25519",
        ".aws/credentials",
        ".netrc",
    ] {
        assert!(is_secret_store(path), "{path}");
    }
    for path in [
        "src/env.rs",
        "environment",
        "id_rsa.pub",
        ".env.example",
        "keys.rs",
        ".environment",
        "a.key/b",
    ] {
        assert!(!is_secret_store(path), "{path}");
    }
}

/// The work of a text grows as the text does, whatever stands in it again and again.
#[test]
fn no_text_is_looked_at_again_and_again() {
    const BYTES: usize = 16 << 10;
    /// Of each byte: the longest value that is looked at from each start, and the shortest name before it.
    const EACH_MAX: u64 = 400;
    let wasteful = |text: String| {
        SPENT.set(0);
        holds_every(&text);
        let spent = SPENT.get();
        assert!(spent <= EACH_MAX * BYTES as u64, "{spent} bytes for {}…", &text[..40]);
    };
    for (literal, ..) in MARKS.iter() {
        for unit in [
            literal.to_string(),
            format!("-{literal}"),
            format!("{literal}=$"),
            format!("{literal}: "),
            format!("{literal}bearer "),
            format!("{literal}\\\""),
            format!(" {literal}RSA PRIVATE KEY-----"),
            format!("{literal}-aaaaaaaa."),
        ] {
            wasteful(unit.repeat(BYTES / unit.len()));
        }
    }
    wasteful(format!("{} ", "password=$".repeat(100)).repeat(BYTES / 1_001));
    for unit in ["token", "password=$", "-sk-", "-eyJ-", "-----BEGIN RSA PRIVATE KEY", "?sig="] {
        SPENT.set(0);
        holds_every(&unit.repeat((1 << 20) / unit.len()));
        assert!(SPENT.get() <= EACH_MAX << 20, "{unit}");
    }
}

fn holds_every(text: &str) {
    each(text.as_bytes(), &mut |_| true);
}

#[test]
fn a_value_too_long_to_look_at_goes_whole() {
    let long = "password=$".repeat(1_000);
    assert_eq!(redact(&format!("a {long} b")), "a password=[redacted:assigned] b");
    assert_eq!(redact(&format!("token={} b", "a".repeat(5_000))), "token=[redacted:assigned] b");
    let key = format!("-sk-{}-a1b2", "sk-".repeat(9_000));
    assert_eq!(redact(&key), "-[redacted:api_key]");
}

proptest! {
    #[test]
    fn any_text_is_redacted_without_panic_and_to_the_end(text in "\\PC{0,400}|[a-zA-Z0-9=:'\" \\\\/@.-]{0,400}") {
        let shown = redact(&text).into_owned();
        prop_assert_eq!(scan(&text).is_empty(), shown == text);
        prop_assert_eq!(holds_secret(text.as_bytes()), !scan(&text).is_empty());
    }

    #[test]
    fn any_bytes_are_scanned(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        holds_secret(&bytes);
    }

    /// A token is found wherever it stands between texts that do not touch it.
    #[test]
    fn a_token_is_found_anywhere(before in "[ a-z\n:;,(]{0,60}", after in "[ \n;,)]{0,60}") {
        let token = format!("ghp_{}", "a1B2".repeat(9));
        let text = format!("{before} {token}{after}");
        prop_assert!(!redact(&text).contains(&token));
    }
}
