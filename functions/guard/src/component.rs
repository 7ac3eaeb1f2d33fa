//! The component's side towards Spin.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::BodyExt;
use portcullis_function::spin::{self, Variables};
use portcullis_function::{Body, Limit, UNAVAILABLE};
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{
    FullBody, HeaderName, HeaderValue, IntoResponse, Request, Response, StatusCode,
};
use spin_sdk::http_service;
use spin_sdk::wasip3::spawn;

use crate::archive::SpinArchive;
use crate::environment::source;
use crate::message::{Answer, Content, Incoming};
use crate::network::Network;
use crate::remotes::Remotes;
use crate::service::{Answered, Service, of_problem};
use crate::settings::{self, POLICY, Settings, VARIABLES, variable_of};
use crate::stores::SpinStore;

/// In which Spin tells who has connected.
const CLIENT_ADDRESS: &str = "spin-client-addr";

thread_local! {
    /// All that is kept from one request to the next, where an instance answers several: nothing of any request.
    static COMPILED: RefCell<Option<(Variables, Rc<Settings>)>> = const { RefCell::new(None) };
}

#[http_service]
async fn answer(request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let Some(settings) = settings().await else { return response(of_problem(&UNAVAILABLE)) };
    let fields = parts.headers.iter();
    let fields = fields.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let incoming = Incoming {
        method: parts.method.as_str().to_owned(),
        path: path.to_owned(),
        authority: parts.uri.authority().map(|authority| authority.as_str().to_owned()),
        fields: fields.collect(),
        source: source(parts.headers.get_all(CLIENT_ADDRESS).iter().map(HeaderValue::as_bytes)),
    };
    let service = Service {
        policy: &settings.policy,
        secret: settings.secret,
        store: &SpinStore::new(&settings.limits),
        upstream: &Network { origin: &settings.upstream, timeout: settings.timeout },
        archive: &SpinArchive,
        now: None,
    };
    let Answered { answer, record, due, instance } =
        service.answer(&incoming, SpinBody(body)).await;
    if let Some(record) = record {
        println!("{record}");
    }
    if !due.is_empty() {
        // The client need not wait for it.
        spawn(async move {
            let remotes = Remotes { policy: &settings.policy, archive: &SpinArchive };
            remotes.refresh(due, instance).await;
        });
    }
    response(answer)
}

struct SpinBody<B>(B);

impl<B: IncomingBodyExt + BodyExt<Data = Bytes>> Content for SpinBody<B> {
    async fn read(self, limit: Limit) -> Body {
        spin::read(self.0, limit).await
    }
}

fn response(answer: Answer) -> Response<FullBody<Bytes>> {
    let mut response = Response::new(FullBody::new(Bytes::from(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in answer.fields {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// The settings, or `None` where one is unfit: then nobody is let through.
async fn settings() -> Option<Rc<Settings>> {
    let mut values = Variables::default();
    for name in VARIABLES {
        values.load("guard", name).await?;
    }
    let secrets = values.get(POLICY).map(|document| settings::secret_names(&document));
    for secret in secrets.unwrap_or_default() {
        values.load("guard", &variable_of(&secret)).await?;
    }
    COMPILED.with(|compiled| {
        if let Some((known, settings)) = &*compiled.borrow()
            && *known == values
        {
            return Some(settings.clone());
        }
        let settings = Settings::read(|name| values.get(name))
            .inspect_err(|error| portcullis_function::log!("guard: {error}"))
            .ok()?;
        let settings = Rc::new(settings);
        compiled.replace(Some((values, settings.clone())));
        Some(settings)
    })
}
