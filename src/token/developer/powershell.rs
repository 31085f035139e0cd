//! `Get-AzAccessToken` of Azure PowerShell.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::{Call, FetchError, Finished, Printed, Tool, ToolError, json};
use crate::secret::Secret;
use crate::token::program::presentable;
use crate::token::{Resource, expiry, reply};

/// The script goes as base64 of UTF-16LE, which no quoting can spoil.
pub(super) fn call(resource: &Resource, tenant: Option<&str>) -> Call<'static> {
    let tenant = tenant.map(|tenant| format!("$wanted.TenantId = '{tenant}'"));
    // Both values have been checked to hold no quote.
    let script = SCRIPT
        .replace("RESOURCE", resource.as_str())
        .replace("#TENANT", &tenant.unwrap_or_default());
    let bytes: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let encoded = STANDARD.encode(bytes);
    Call::new(["-NoProfile", "-NonInteractive", "-EncodedCommand", &encoded])
}

pub(super) fn read(done: &Finished) -> Result<Printed, FetchError> {
    const TOOL: Tool = Tool::PowerShell;
    if !done.success() {
        return Err(TOOL.judge(done, done.said(), SIGNS));
    }
    let raw: Raw = json(TOOL, done)?;
    if raw.no_module {
        return Err(ToolError::MissingModule {
            tool: TOOL.name(),
            module: "Az.Accounts 2.2.0 or later",
            install: "Install-Module Az.Accounts -Scope CurrentUser",
        }
        .into());
    }
    if let Some(error) = raw.error {
        return Err(TOOL.judge(done, presentable(&error), SIGNS));
    }
    let secret = raw.token.filter(|secret| !secret.is_empty());
    let secret = secret.ok_or_else(|| TOOL.no_token("JSON without a token"))?;
    let told = raw.expires_on.as_ref();
    let expires_on = told.and_then(|value| expiry::expires_on(value, SystemTime::now()));
    let expires_on = expires_on.ok_or_else(|| TOOL.no_token("a token without its end"))?;
    Ok(Printed { secret, expires_on })
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default, deserialize_with = "reply::secret")]
    token: Option<Secret>,
    expires_on: Option<Value>,
    error: Option<String>,
    #[serde(default)]
    no_module: bool,
}

/// Prints one line of JSON whatever happens, as errors would come as XML.
///
/// The token is a `SecureString` always since Az.Accounts 5, and from 2.17 on if
/// asked for, which is better than to be warned that it will be.
const SCRIPT: &str = r#"
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
try { Import-Module Az.Accounts -MinimumVersion 2.2.0 }
catch { '{"no_module":true}'; exit 0 }
try {
  $wanted = @{ ResourceUrl = 'RESOURCE' }
  #TENANT
  if ((Get-Command Get-AzAccessToken).Parameters.ContainsKey('AsSecureString')) { $wanted.AsSecureString = $true }
  $got = Get-AzAccessToken @wanted
  $text = $got.Token
  if ($text -is [System.Security.SecureString]) { $text = [System.Net.NetworkCredential]::new('', $text).Password }
  @{ token = $text; expires_on = $got.ExpiresOn.ToUnixTimeSeconds() } | ConvertTo-Json -Compress
} catch {
  @{ error = [string]$_.Exception.Message } | ConvertTo-Json -Compress
}
"#;

const SIGNS: &[&str] = &["connect-azaccount"];
