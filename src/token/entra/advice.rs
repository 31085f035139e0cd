//! What to do about Entra's error codes, and whether it is worth asking again.

/// What is known about an error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Advice {
    pub(super) text: &'static str,
    pub(super) again: Again,
}

/// Whether the same request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It would fail the same way.
    No,
    /// Like after a server error.
    Soon,
    /// Once, with an assertion made or fetched anew.
    NewAssertion,
    /// For the minutes that a new federated credential needs to be known everywhere.
    WhileFresh,
    /// Not before a pause.
    AfterPause,
}

/// The advice for the first code that has any.
pub(super) fn of(codes: &[u32]) -> Option<Advice> {
    codes.iter().find_map(|code| {
        let mut entries = TABLE.iter();
        let (_, again, text) = entries.find(|(codes, ..)| codes.contains(code))?;
        Some(Advice {
            text,
            again: *again,
        })
    })
}

/// Codes, whether to ask again, and what the user can do. The codes' meanings
/// are those of Microsoft's list of AADSTS error codes.
const TABLE: &[(&[u32], Again, &str)] = &[
    (
        &[50_001, 500_011],
        Again::No,
        "the tenant does not know the resource; check the cloud of the server's name, and that \
         the tenant has ever used Azure SQL",
    ),
    (
        &[50_034],
        Again::No,
        "the account is not in this tenant; sign in to the right one",
    ),
    (
        &[50_020, 50_059, 50_128],
        Again::No,
        "the tenant is wrong or missing; set the tenant id",
    ),
    (
        &[50_076, 50_079, 50_158],
        Again::No,
        "a further proof of the user is asked for; sign in again interactively, as by az login",
    ),
    (
        &[50_173, 700_082, 70_043],
        Again::No,
        "the tool's sign-in has ended or was revoked; sign in again with it",
    ),
    (
        &[50_196],
        Again::AfterPause,
        "too many identical requests were sent; some client does not cache its tokens",
    ),
    (
        &[53_000, 530_003],
        Again::No,
        "Conditional Access wants a managed device; use one, or a workload's identity",
    ),
    (
        &[53_003],
        Again::No,
        "Conditional Access blocks this; ask the administrator, for an application about the \
         policies for workload identities (location, risk)",
    ),
    (
        &[530_032, 530_034, 530_035],
        Again::No,
        "a security policy of the tenant blocks this; ask its administrator",
    ),
    (
        &[65_001],
        Again::No,
        "an administrator of the tenant has to consent to the application",
    ),
    (
        &[70_001, 700_016],
        Again::No,
        "the tenant has no such application; check the client id (it is not the object id) and \
         the tenant",
    ),
    (
        &[7_000_112],
        Again::No,
        "the application is disabled; ask the administrator of the tenant",
    ),
    (
        &[70_002, 7_000_218],
        Again::No,
        "the request had no secret or assertion; give the application a credential",
    ),
    (
        &[7_000_215],
        Again::No,
        "the client secret is wrong; give the secret's value, not its id, and check that it \
         belongs to this application",
    ),
    (
        &[7_000_222],
        Again::No,
        "the client secret has expired; make a new one, or better a federated credential, which \
         needs none",
    ),
    (
        &[700_024],
        Again::NewAssertion,
        "the assertion is not valid at this time; check this machine's clock, and let the token \
         be issued anew",
    ),
    (
        &[700_025],
        Again::No,
        "the application is registered as a public client, which has no credentials; change its \
         type",
    ),
    (
        &[700_027],
        Again::No,
        "the assertion's signature does not match a certificate of the application; upload this \
         certificate to it",
    ),
    (
        &[700_030],
        Again::No,
        "the certificate's subject or issuer is not accepted; send the chain by \
         AZURE_CLIENT_SEND_CERTIFICATE_CHAIN=true, or correct the registration",
    ),
    (
        &[70_011, 700_022, 700_023],
        Again::No,
        "the scope is malformed or names several resources; ask for one resource",
    ),
    (
        &[70_021],
        Again::WhileFresh,
        "no federated credential matches the assertion; compare issuer, subject and audience to \
         the letter, and give a new one some minutes",
    ),
    (
        &[700_211],
        Again::No,
        "no federated credential has the assertion's issuer; compare it to the letter, a slash \
         at its end included",
    ),
    (
        &[700_212],
        Again::No,
        "no federated credential has the assertion's audience; compare it to the letter",
    ),
    (
        &[700_213],
        Again::No,
        "no federated credential has the assertion's subject; compare it to the letter",
    ),
    (
        &[700_229],
        Again::No,
        "the assertion is a user's token; only tokens of applications and managed identities \
         are accepted",
    ),
    (
        &[90_002],
        Again::No,
        "there is no such tenant in this cloud; check its name, and AZURE_AUTHORITY_HOST",
    ),
    (
        &[900_023],
        Again::No,
        "the tenant is neither a GUID nor a domain name; correct it",
    ),
    (
        &[90_013, 90_014, 900_144],
        Again::No,
        "the request lacks a field, which is a fault in this client; please report it",
    ),
    (
        &[90_038, 900_382, 900_432],
        Again::No,
        "the tenant belongs to another cloud; set AZURE_AUTHORITY_HOST to that cloud's authority",
    ),
    (
        &[90_061],
        Again::Soon,
        "Entra cannot read the issuer's metadata; it must be public, with a valid certificate and \
         /.well-known/openid-configuration",
    ),
    (
        &[90_006, 90_012, 90_024, 90_033, 90_055, 90_090],
        Again::Soon,
        "Entra is busy; try again later",
    ),
    (
        &[100_007],
        Again::No,
        "regional endpoints are for Microsoft's own applications; unset \
         AZURE_REGIONAL_AUTHORITY_NAME",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code of the list that this table is for, with what to do about it.
    #[test]
    fn every_code_has_its_advice() {
        use Again::{AfterPause, NewAssertion, No, Soon, WhileFresh};
        for (codes, again, word) in [
            (&[50_001, 500_011][..], No, "resource"),
            (&[50_034], No, "right one"),
            (&[50_020, 50_059, 50_128], No, "tenant id"),
            (&[50_076, 50_079, 50_158], No, "az login"),
            (&[50_173, 700_082, 70_043], No, "sign in again"),
            (&[50_196], AfterPause, "cache"),
            (&[53_000, 530_003], No, "device"),
            (&[53_003], No, "workload identities"),
            (&[530_032, 530_034, 530_035], No, "administrator"),
            (&[65_001], No, "consent"),
            (&[70_001, 700_016], No, "object id"),
            (&[7_000_112], No, "disabled"),
            (&[70_002, 7_000_218], No, "credential"),
            (&[7_000_215], No, "not its id"),
            (&[7_000_222], No, "federated"),
            (&[700_024], NewAssertion, "clock"),
            (&[700_025], No, "public client"),
            (&[700_027], No, "upload"),
            (&[700_030], No, "chain"),
            (&[70_011, 700_022, 700_023], No, "one resource"),
            (&[70_021], WhileFresh, "minutes"),
            (&[700_211], No, "issuer"),
            (&[700_212], No, "audience"),
            (&[700_213], No, "subject"),
            (&[700_229], No, "applications"),
            (&[90_002], No, "no such tenant"),
            (&[900_023], No, "GUID"),
            (&[90_013, 90_014, 900_144], No, "report"),
            (&[90_038, 900_382, 900_432], No, "AZURE_AUTHORITY_HOST"),
            (&[90_061], Soon, "openid-configuration"),
            (
                &[90_006, 90_012, 90_024, 90_033, 90_055, 90_090],
                Soon,
                "later",
            ),
            (&[100_007], No, "regional"),
        ] {
            for code in codes {
                let advice = of(&[*code]).unwrap_or_else(|| panic!("nothing about {code}"));
                assert_eq!(advice.again, again, "{code}");
                assert!(advice.text.contains(word), "{code}: {}", advice.text);
                assert!(!advice.text.ends_with('.'), "{code}");
            }
        }
    }

    #[test]
    fn no_code_stands_twice_and_unknown_ones_are_passed_over() {
        let mut all: Vec<_> = TABLE.iter().flat_map(|(codes, ..)| *codes).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        assert_eq!(of(&[1, 7_000_222]), of(&[7_000_222]));
        assert_eq!(of(&[1]), None);
        assert_eq!(of(&[]), None);
    }
}
