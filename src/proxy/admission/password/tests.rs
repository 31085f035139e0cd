use super::*;

/// The cheapest hash there is, so that tests are quick.
fn cheap(password: &str) -> Secret {
    let params = Params::new(8, 1, 1, Some(32)).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash = argon2.hash_password(password.as_bytes()).unwrap();
    Secret::new(hash.to_string())
}

fn user(name: &str, password: &str) -> UserConfig {
    UserConfig {
        name: name.to_owned(),
        password_hash: cheap(password),
        admin: name == "root",
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

async fn check(passwords: &Passwords, name: &str, password: &str) -> Result<Known, Unproven> {
    passwords
        .check(name, &Secret::new(password), PATIENCE)
        .await
}

#[test]
fn a_hash_is_argon2id_as_owasp_asks_and_salted() {
    let password = Secret::new("correct horse");
    let one = hash_password(&password).unwrap();
    let two = hash_password(&password).unwrap();
    assert!(one.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert_ne!(one, two, "salts are random");
    check_hash(one.expose()).unwrap();
    assert!(verify(&password, &one));
    assert!(!verify(&Secret::new("correct horsf"), &one));
    assert!(matches!(
        hash_password(&Secret::default()),
        Err(PasswordError::Empty)
    ));
}

/// Made by the reference implementation's command line:
/// `printf hunter2 | argon2 somesalt -id -t 2 -k 64 -p 1 -l 24 -e`'s form.
#[test]
fn hashes_of_other_programs_are_read() {
    let text = "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    check_hash(text).unwrap();
    assert!(!verify(&Secret::new("hunter2"), &Secret::new(text)));
}

#[test]
fn what_is_no_hash_or_costs_too_much_is_refused() {
    let body = "c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let kind = |text: String| match check_hash(&text) {
        Ok(()) => "fine",
        Err(PasswordError::NotAHash) => "no hash",
        Err(PasswordError::OtherAlgorithm) => "other",
        Err(PasswordError::Incomplete) => "incomplete",
        Err(PasswordError::TooCostly { .. }) => "costly",
        Err(error) => panic!("{error}"),
    };
    for (text, expected) in [
        (format!("$argon2id$v=19$m=64,t=2,p=1${body}"), "fine"),
        (format!("$argon2id$v=19$m=262144,t=16,p=16${body}"), "fine"),
        (format!("$argon2id$v=19$m=262145,t=1,p=1${body}"), "costly"),
        (format!("$argon2id$v=19$m=64,t=17,p=1${body}"), "costly"),
        (format!("$argon2id$v=19$m=1024,t=1,p=17${body}"), "costly"),
        (
            format!("$argon2id$v=19$m=4294967295,t=1,p=1${body}"),
            "costly",
        ),
        (
            format!("$argon2id$v=19$m=4294967296,t=1,p=1${body}"),
            "no hash",
        ),
        (format!("$argon2id$v=16$m=64,t=2,p=1${body}"), "other"),
        (format!("$argon2id$m=64,t=2,p=1${body}"), "other"),
        (format!("$argon2i$v=19$m=64,t=2,p=1${body}"), "other"),
        (format!("$2b$12${body}"), "no hash"),
        (String::from("$argon2id$v=19$m=64,t=2,p=1"), "incomplete"),
        (
            String::from("$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ"),
            "incomplete",
        ),
        (
            String::from("$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAA"),
            "incomplete",
        ),
        (String::from("hunter2"), "no hash"),
        (String::new(), "no hash"),
        (String::from("$"), "no hash"),
        (String::from("$$$$$$$$"), "no hash"),
    ] {
        assert_eq!(kind(text.clone()), expected, "{text}");
    }
}

#[test]
fn errors_do_not_repeat_what_was_taken_for_a_hash() {
    let error = check_hash("hunter2").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn passwords_are_compared_as_they_are_and_names_without_case() {
    let users = [
        user("bob", "pässword 🗝"),
        user("root", "x"),
        user("Émile", "y"),
    ];
    let passwords = Passwords::new(&users).unwrap();
    let bob = Known {
        name: "bob".to_owned(),
        admin: false,
    };
    assert_eq!(check(&passwords, "BOB", "pässword 🗝").await, Ok(bob));
    assert!(check(&passwords, "root", "x").await.unwrap().admin);
    assert!(check(&passwords, "ÉMILE", "y").await.is_ok());
    for (name, password, expected) in [
        ("bob", "password 🗝", Unproven::WrongPassword),
        ("bob", "PÄSSWORD 🗝", Unproven::WrongPassword),
        ("bob", "pässword 🗝 ", Unproven::WrongPassword),
        ("bob", "", Unproven::WrongPassword),
        ("bob", "x", Unproven::WrongPassword),
        ("root", "y", Unproven::WrongPassword),
        ("eve", "x", Unproven::NoSuchUser),
        ("", "x", Unproven::NoSuchUser),
        ("bob ", "pässword 🗝", Unproven::NoSuchUser),
    ] {
        assert_eq!(
            check(&passwords, name, password).await,
            Err(expected),
            "{name} {password}"
        );
    }
    let long = "ß".repeat(100_000);
    assert!(check(&passwords, &long, &long).await.is_err());
}

#[tokio::test]
async fn without_users_nobody_is_known() {
    let passwords = Passwords::new(&[]).unwrap();
    assert_eq!(
        check(&passwords, "bob", "x").await,
        Err(Unproven::NoSuchUser)
    );
}

#[test]
fn a_decoy_costs_what_a_users_hash_costs_and_stays_the_same_for_a_name() {
    let mut costly = user("eve", "x");
    costly.password_hash = Secret::new(
        "$argon2id$v=19$m=64,t=3,p=2$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    );
    let passwords = Passwords::new(&[user("bob", "x"), costly]).unwrap();
    let mut costs = std::collections::BTreeSet::new();
    for name in 0..64 {
        let name = name.to_string();
        let decoy = passwords.decoy_for(&name).unwrap();
        assert_eq!(Some(&decoy), passwords.decoy_for(&name).as_ref());
        costs.insert(read(decoy.expose()).unwrap().params.to_string());
    }
    let costs: Vec<_> = costs.into_iter().collect();
    assert_eq!(costs, ["m=64,t=3,p=2", "m=8,t=1,p=1"]);
    assert!(!passwords.decoys.contains(&passwords.users["bob"].hash));
}

#[test]
fn one_name_is_one_user() {
    let (name, error) = Passwords::new(&[user("bob", "x"), user("BOB", "y")]).unwrap_err();
    assert_eq!(name, "BOB");
    assert!(matches!(error, PasswordError::Twice));
}

#[tokio::test]
async fn a_flood_waits_for_its_turn_and_not_for_ever() {
    let passwords = Passwords::new(&[user("bob", "x")]).unwrap();
    let permits = u32::try_from(passwords.checks.available_permits()).unwrap();
    assert!(permits >= 1 && permits <= u32::try_from(MAX_CHECKS).unwrap());
    let all = passwords.checks.acquire_many(permits).await.unwrap();
    let busy = passwords
        .check("bob", &Secret::new("x"), Duration::from_millis(1))
        .await;
    assert_eq!(busy, Err(Unproven::Busy));
    drop(all);
    let checks = (0..1000).map(|number| {
        let password = if number % 2 == 0 { "x" } else { "y" };
        check(&passwords, "bob", password)
    });
    let outcomes = futures_util::future::join_all(checks).await;
    assert_eq!(outcomes.iter().filter(|it| it.is_ok()).count(), 500);
}

#[test]
fn debug_shows_no_hash() {
    let passwords = Passwords::new(&[user("bob", "x")]).unwrap();
    let text = format!("{passwords:?} {:?}", user("bob", "x"));
    assert!(!text.contains("argon2id"), "{text}");
}
