//! What the admin endpoint answers.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Controls;
use crate::emulator::fault_spec::time;
use crate::emulator::{
    ActiveFault, Clock, DatabaseState, FaultId, FaultSpec, FaultSpecError, Platform,
    RecordedRequest, UnknownPlatform,
};

type Answer = Result<Json<Value>, Refusal>;

/// An error status and why.
pub(super) struct Refusal {
    status: StatusCode,
    why: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        refusal(self.status, &self.why)
    }
}

/// An error status and why, as JSON.
pub(super) fn refusal(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

pub(super) async fn status(State(controls): State<Controls>) -> Json<Value> {
    let databases = controls.engine.as_ref().map(|engine| {
        let state = |name: String| {
            let state = controls.faults.database_state(&name).to_string();
            (name, Value::String(state))
        };
        let all = engine.databases().into_iter();
        all.map(state).collect::<serde_json::Map<_, _>>()
    });
    Json(json!({
        "listeners": {
            "sql": controls.sql_address,
            "identity": controls.identity.base_url(),
        },
        "databases": databases,
        "clock": shown(controls.identity.clock()),
        "faults": listed(&controls.faults.active()),
        "sessions": controls.sessions.list(),
        "counters": controls.counters.snapshot(),
    }))
}

pub(super) async fn faults(State(controls): State<Controls>) -> Json<Value> {
    Json(json!({ "faults": listed(&controls.faults.active()) }))
}

/// Faults to add: one in words, as text or JSON, or several.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFaults {
    #[serde(default)]
    fault: Option<String>,
    #[serde(default)]
    faults: Vec<String>,
}

/// All of them are read before the first begins.
pub(super) async fn add_faults(State(controls): State<Controls>, body: String) -> Answer {
    let words = if body.trim_start().starts_with('{') {
        let new: NewFaults = read(&body)?;
        new.fault.into_iter().chain(new.faults).collect()
    } else {
        vec![body.trim().to_owned()]
    };
    let specs: Vec<FaultSpec> = words
        .iter()
        .map(|words| words.parse())
        .collect::<Result<_, FaultSpecError>>()
        .map_err(|error| bad_request(&error))?;
    let ids: Vec<Value> = specs
        .iter()
        .map(|spec| json!({ "id": controls.faults.add(spec).0, "fault": spec.to_string() }))
        .collect();
    Ok(Json(json!({ "added": ids })))
}

pub(super) async fn clear_faults(State(controls): State<Controls>) -> StatusCode {
    controls.faults.clear();
    StatusCode::NO_CONTENT
}

pub(super) async fn remove_fault(
    State(controls): State<Controls>,
    Path(id): Path<String>,
) -> Response {
    match id.parse() {
        Ok(id) if controls.faults.remove(FaultId(id)) => StatusCode::NO_CONTENT.into_response(),
        _ => refusal(
            StatusCode::NOT_FOUND,
            "there is no such fault, or it is over",
        ),
    }
}

pub(super) async fn clock(State(controls): State<Controls>) -> Json<Value> {
    Json(shown(controls.identity.clock()))
}

/// Done in the order of the fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    /// Whether the clock stands still.
    freeze: Option<bool>,
    /// Seconds since 1970.
    set: Option<i64>,
    /// A time such as `10h`.
    advance: Option<String>,
}

pub(super) async fn turn_clock(State(controls): State<Controls>, body: String) -> Answer {
    let turn: Turn = read(&body)?;
    let advance = turn.advance.as_deref().map(time).transpose();
    let advance = advance.map_err(|error| bad_request(&error))?;
    let clock = controls.identity.clock();
    match turn.freeze {
        Some(true) => clock.freeze(),
        Some(false) => clock.run(),
        None => {}
    }
    if let Some(seconds) = turn.set {
        clock.set(seconds);
    }
    if let Some(by) = advance {
        clock.advance(by);
    }
    Ok(Json(shown(clock)))
}

pub(super) async fn identity_down(State(controls): State<Controls>) -> StatusCode {
    controls.faults.identity_down().await;
    StatusCode::NO_CONTENT
}

pub(super) async fn identity_up(State(controls): State<Controls>) -> StatusCode {
    controls.faults.identity_up().await;
    StatusCode::NO_CONTENT
}

pub(super) async fn state(State(controls): State<Controls>, Path(name): Path<String>) -> Answer {
    known_database(&controls, &name)?;
    let state = controls.faults.database_state(&name).to_string();
    Ok(Json(json!({ "database": name, "state": state })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewState {
    state: String,
    /// How many logins find it so.
    times: Option<u32>,
    /// How long it is so, such as `60s`.
    lasting: Option<String>,
}

pub(super) async fn set_state(
    State(controls): State<Controls>,
    Path(name): Path<String>,
    body: String,
) -> Answer {
    known_database(&controls, &name)?;
    let new: NewState = read(&body)?;
    let state: DatabaseState = new.state.parse().map_err(|error| bad_request(&error))?;
    let mut spec = FaultSpec::database(&name, state).maybe_times(new.times);
    if let Some(lasting) = &new.lasting {
        spec = spec.lasting(time(lasting).map_err(|error| bad_request(&error))?);
    }
    controls.faults.database(&name, DatabaseState::Online);
    if state != DatabaseState::Online {
        controls.faults.add(&spec);
    }
    Ok(Json(
        json!({ "database": name, "state": state.to_string() }),
    ))
}

pub(super) async fn sessions(State(controls): State<Controls>) -> Json<Value> {
    Json(json!({ "sessions": controls.sessions.list() }))
}

pub(super) async fn kill(State(controls): State<Controls>, Path(spid): Path<String>) -> Response {
    let wanted: Option<u16> = spid.parse().ok();
    let killed = controls
        .sessions
        .kill(|session| Some(session.spid) == wanted);
    match killed {
        0 => refusal(StatusCode::NOT_FOUND, "there is no session of that number"),
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

/// The variables that each platform sets for its programs, secrets included.
pub(super) async fn platforms(State(controls): State<Controls>) -> Json<Value> {
    let all = Platform::ALL.into_iter();
    let all = all.map(|platform| (platform.to_string(), environment(&controls, platform)));
    let all: serde_json::Map<_, _> = all.collect();
    Json(json!({ "platforms": all }))
}

/// Changes the platform's secret and tells its variables from now on.
pub(super) async fn rotate(State(controls): State<Controls>, Path(name): Path<String>) -> Answer {
    let platform: Platform = name.parse().map_err(|error: UnknownPlatform| Refusal {
        status: StatusCode::NOT_FOUND,
        why: error.to_string(),
    })?;
    controls.identity.rotate_secret(platform);
    Ok(Json(environment(&controls, platform)))
}

fn environment(controls: &Controls, platform: Platform) -> Value {
    let variables = controls.identity.environment(platform).into_iter();
    let named = |(name, value)| (name, Value::String(value));
    Value::Object(variables.map(named).collect())
}

pub(super) async fn revoke(State(controls): State<Controls>) -> Result<StatusCode, Refusal> {
    controls.identity.revoke_tokens().map_err(|error| {
        tracing::error!(%error, "tokens could not be revoked");
        Refusal {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            why: "the state folder cannot keep it".to_owned(),
        }
    })?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct After {
    /// Only requests with a higher number.
    after: Option<u64>,
}

pub(super) async fn requests(
    State(controls): State<Controls>,
    Query(After { after }): Query<After>,
) -> Json<Value> {
    let mut all: Vec<RecordedRequest> = controls.recorded.list();
    all.retain(|request| request.number > after.unwrap_or_default());
    Json(json!({ "requests": all }))
}

pub(super) async fn forget_requests(State(controls): State<Controls>) -> StatusCode {
    controls.recorded.clear();
    StatusCode::NO_CONTENT
}

/// No trouble, the machine's time, no memory of requests. Sessions, data and counters stay.
pub(super) async fn reset(State(controls): State<Controls>) -> StatusCode {
    controls.faults.clear();
    controls.faults.identity_up().await;
    controls.identity.clock().set_offset(0);
    controls.recorded.clear();
    StatusCode::NO_CONTENT
}

pub(super) async fn nothing_here() -> Response {
    refusal(
        StatusCode::NOT_FOUND,
        "there is nothing here; see docs/emulator.md",
    )
}

pub(super) async fn wrong_method() -> Response {
    refusal(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path knows other methods; see docs/emulator.md",
    )
}

fn known_database(controls: &Controls, name: &str) -> Result<(), Refusal> {
    let Some(engine) = &controls.engine else {
        return Ok(());
    };
    let known = engine.databases();
    if known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let why = format!(
        "there is no database {name:?}; there are {}",
        known.join(", ")
    );
    Err(Refusal {
        status: StatusCode::NOT_FOUND,
        why,
    })
}

fn read<T: for<'de> Deserialize<'de>>(body: &str) -> Result<T, Refusal> {
    serde_json::from_str(body).map_err(|error| bad_request(&error))
}

fn bad_request(error: &dyn std::error::Error) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        why: error.to_string(),
    }
}

fn shown(clock: &Clock) -> Value {
    let now = clock.now();
    let text = jiff::Timestamp::from_second(now).map(|time| time.to_string());
    json!({ "now": now, "utc": text.ok(), "frozen": clock.is_frozen() })
}

fn listed(faults: &[ActiveFault]) -> Vec<Value> {
    faults
        .iter()
        .map(|fault| {
            json!({
                "id": fault.id.0,
                "fault": fault.spec.to_string(),
                "happened": fault.happened,
                "ends_at": fault.ends_at.map(|millis| millis.div_euclid(1000)),
            })
        })
        .collect()
}
