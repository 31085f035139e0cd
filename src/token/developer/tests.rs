use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::testing::TempPath;
use super::*;

/// Asks a tool that is a script.
async fn ask(tool: Tool, body: &str, tenant: Option<&str>) -> Result<Printed, FetchError> {
    ask_in(tool, body, tenant, &[]).await
}

async fn ask_in(
    tool: Tool,
    body: &str,
    tenant: Option<&str>,
    env: &[(&str, &str)],
) -> Result<Printed, FetchError> {
    let folder = TempPath::new();
    let name = match tool {
        Tool::Az => "az",
        Tool::Azd => "azd",
        Tool::PowerShell => "pwsh",
    };
    folder.put(name, body);
    let sources = Sources::new(folder.environment_with(env));
    let source = DeveloperTool::new(tool, tenant, &sources);
    source
        .ask(&Resource::new("https://database.windows.net/"))
        .await
}

fn expires(token: &Printed) -> String {
    jiff::Timestamp::try_from(token.expires_on)
        .unwrap()
        .strftime("%FT%H:%M")
        .to_string()
}

/// A script that prints its arguments on its standard error, and fails.
const ARGUMENTS: &str = r#"printf '%s ' "$@" >&2; exit 3"#;

#[tokio::test]
async fn each_tool_is_called_as_it_is_documented() {
    let called = async |tool, tenant| ask(tool, ARGUMENTS, tenant).await.unwrap_err().to_string();
    assert_eq!(
        called(Tool::Az, None).await,
        "az ended with exit code 3: account get-access-token --output json \
         --resource https://database.windows.net/"
    );
    assert!(
        called(Tool::Az, Some("contoso.com"))
            .await
            .ends_with("/ --tenant contoso.com")
    );
    assert_eq!(
        called(Tool::Azd, Some("t")).await,
        "azd ended with exit code 3: auth token --output json --no-prompt \
         --scope https://database.windows.net//.default --tenant-id t"
    );
    let shell = called(Tool::PowerShell, None).await;
    assert!(
        shell.contains("-NoProfile -NonInteractive -EncodedCommand [hidden]"),
        "{shell}"
    );
}

#[tokio::test]
async fn the_script_for_powershell_says_what_is_wanted() {
    let show = r#"printf '%s' "$4" | base64 -d | tr -d '\000' | grep -e ResourceUrl -e TenantId >&2; exit 3"#;
    let error = ask(Tool::PowerShell, show, Some("the-tenant"))
        .await
        .unwrap_err()
        .to_string();
    for part in [
        "ResourceUrl = 'https://database.windows.net/'",
        "$wanted.TenantId = 'the-tenant'",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn the_end_is_read_in_each_of_the_forms() {
    for (tool, body, env, end) in [
        // What is told in local time does not matter beside the exact number.
        (
            Tool::Az,
            r#"{"accessToken":"t","expires_on":4102444800,"expiresOn":"2031-01-01 00:00:00.000000"}"#,
            &[][..],
            "2100-01-01T00:00",
        ),
        (
            Tool::Az,
            r#"{"accessToken":"t","expiresOn":"2099-07-01 12:00:00.000000","tenant":"x"}"#,
            &[("TZ", "Europe/Berlin")],
            "2099-07-01T10:00",
        ),
        (
            Tool::Az,
            r#"{"accessToken":"t","expires_on":null,"expiresOn":"2099-07-01T12:00:00+00:00"}"#,
            &[("TZ", "Europe/Berlin")],
            "2099-07-01T12:00",
        ),
        (
            Tool::Azd,
            r#"{"token":"t","expiresOn":"2099-07-01T12:00:00Z"}"#,
            &[("TZ", "Europe/Berlin")],
            "2099-07-01T12:00",
        ),
        (
            Tool::PowerShell,
            r#"{"token":"t","expires_on":4102444800}"#,
            &[],
            "2100-01-01T00:00",
        ),
    ] {
        let script = format!("echo 'a notice'; echo '{body}'");
        let token = ask_in(tool, &script, None, env).await.unwrap();
        assert_eq!(
            (token.secret.expose(), expires(&token).as_str()),
            ("t", end),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_token_may_tell_its_end_itself() {
    let claims = URL_SAFE_NO_PAD.encode(r#"{"exp":4102444800}"#);
    let script = format!(r#"echo '{{"accessToken":"e30.{claims}.s"}}'"#);
    assert_eq!(
        expires(&ask(Tool::Az, &script, None).await.unwrap()),
        "2100-01-01T00:00"
    );
}

#[tokio::test]
async fn a_token_from_the_past_is_refused() {
    let folder = TempPath::new();
    folder.put(
        "az",
        r#"echo '{"accessToken":"t","expires_on":1500000000}'"#,
    );
    let source = DeveloperTool::new(Tool::Az, None, &Sources::new(folder.environment()));
    let error = source.fetch(&Resource::new("r")).await.unwrap_err();
    assert!(
        matches!(error, FetchError::AlreadyExpired { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn who_is_not_signed_in_is_told_how_to() {
    for (tool, body, command) in [
        (
            Tool::Az,
            "echo 'WARNING: a flood of words' >&2; echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1",
            "`az login`",
        ),
        (
            Tool::Azd,
            r#"echo '{"type":"consoleMessage","data":{"message":"\nERROR: not logged in, run `azd auth login`\n"}}' >&2; exit 1"#,
            "`azd auth login`",
        ),
        (
            Tool::Azd,
            r#"echo '{"error":"x","message":"not logged in","suggestion":"azd auth login"}' >&2; exit 1"#,
            "`azd auth login`",
        ),
        (
            Tool::PowerShell,
            r#"echo '{"error":"Run Connect-AzAccount to login."}'"#,
            "`Connect-AzAccount`",
        ),
    ] {
        let error = ask(tool, body, None).await.unwrap_err();
        let is_named = matches!(error, FetchError::Tool(ToolError::NotSignedIn { .. }));
        assert!(is_named && error.to_string().contains(command), "{error:?}");
        assert!(!error.to_string().contains("flood"), "{error}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn a_refusal_of_entra_is_told_by_its_code() {
    let script = "echo 'ERROR: AADSTS50076: Due to a configuration change, use MFA. Run az login' >&2; exit 1";
    let error = ask(Tool::Az, script, None).await.unwrap_err();
    assert!(
        matches!(error, FetchError::Tool(ToolError::Refused { .. })),
        "{error:?}"
    );
    let text = error.to_string();
    for part in ["AADSTS50076", "further proof", "`az login`"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let script = "echo 'ERROR: AADSTS1234567: new' >&2; exit 1";
    let text = ask(Tool::Az, script, None).await.unwrap_err().to_string();
    assert!(text.contains("error?code=1234567"), "{text}");
}

#[tokio::test]
async fn a_missing_module_is_named() {
    let script = r#"echo '{"no_module":true}'"#;
    let error = ask(Tool::PowerShell, script, None)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("Install-Module Az.Accounts"), "{error}");
}

#[tokio::test]
async fn what_is_no_token_is_not_shown() {
    let jwt = "eyJ0eXAi.eyJhdWQi.MARKER";
    for tool in [Tool::Az, Tool::Azd, Tool::PowerShell] {
        for printed in [
            format!("echo {jwt}"),
            format!("echo '<html>{jwt}</html>'"),
            format!(r#"echo '{{"accessToken":"{jwt}","token":"{jwt}","#),
            format!(r#"echo '{{"accessToken":"{jwt}","token":"{jwt}"}}'"#),
            format!(r#"echo '{{"accessToken":["{jwt}"],"token":7,"expires_on":"{jwt}"}}'"#),
            format!(r#"echo '{{"accessToken":"","token":""}} {jwt}'"#),
            format!("echo '[\"{jwt}\"]'; echo {jwt} >&2; exit 1"),
            format!("echo 'ERROR: {jwt}' >&2; exit 1"),
            "true".to_owned(),
        ] {
            let error = ask(tool, &printed, None).await.unwrap_err();
            assert!(
                !format!("{error:?} {error}").contains("MARKER"),
                "{error:?}"
            );
        }
    }
    let error = ask(Tool::Az, "echo nothing", None).await.unwrap_err();
    assert!(
        matches!(error, FetchError::Tool(ToolError::NoToken { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_tool_that_is_slow_to_start_is_given_up() {
    let folder = TempPath::new();
    folder.put("az", "exec sleep 1000");
    let mut source = DeveloperTool::new(Tool::Az, None, &Sources::new(folder.environment()));
    source.limit = Duration::from_millis(50);
    let error = source.token(&Resource::new("r")).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_tool_that_is_not_there_is_named_with_what_to_do() {
    let sources = Sources::new(Environment::from_pairs([("PATH", ".:")]));
    for tool in [Tool::Az, Tool::Azd, Tool::PowerShell] {
        let source = DeveloperTool::new(tool, None, &sources);
        let error = source
            .fetch(&Resource::new("r"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("not installed") && error.contains(tool.sign_in()),
            "{error}"
        );
    }
}

#[tokio::test]
async fn no_value_can_be_more_than_a_value() {
    for tenant in [
        "", "-x", "a b", "a&calc", "a'b", "a;b", "%PATH%", "a\nb", "täter",
    ] {
        let error = ask(Tool::Az, ARGUMENTS, Some(tenant)).await.unwrap_err();
        assert!(
            matches!(
                error,
                FetchError::Tool(ToolError::Value { what: "tenant", .. })
            ),
            "{tenant}"
        );
    }
    let source = DeveloperTool::new(Tool::Az, None, &Sources::new(TempPath::new().environment()));
    for resource in ["", "--help", "https://h/?x", "https://h/ y", "a\"b"] {
        let error = source.fetch(&Resource::new(resource)).await.unwrap_err();
        assert!(
            matches!(
                error,
                FetchError::Tool(ToolError::Value {
                    what: "resource",
                    ..
                })
            ),
            "{resource}"
        );
    }
}
