//! The query string of a token request, with the endpoints' strictness.

use super::managed_identity::Selector;

/// Every name by which some endpoint lets an identity be selected.
pub(super) const SELECTORS: [&str; 7] = [
    "client_id",
    "object_id",
    "principal_id",
    "msi_res_id",
    "mi_res_id",
    "clientid",
    "principalid",
];

/// Parameters of a request, names in lower case.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

/// Why a query string is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QueryError {
    /// The same parameter stands there twice.
    Duplicate(String),
    /// Two selectors, of which one at most may be given.
    SeveralSelectors,
}

impl Query {
    pub(crate) fn parse(raw: Option<&str>) -> Result<Self, QueryError> {
        Self::of_form(raw.unwrap_or_default().as_bytes())
    }

    /// The parameters of a body, which a POST has them in.
    pub(crate) fn of_form(raw: &[u8]) -> Result<Self, QueryError> {
        let mut query = Self::default();
        for (name, value) in url::form_urlencoded::parse(raw) {
            let name = name.to_ascii_lowercase();
            if query.get(&name).is_some() {
                return Err(QueryError::Duplicate(name));
            }
            query.pairs.push((name, value.into_owned()));
        }
        Ok(query)
    }

    /// The value, an empty one included.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value unless it is missing or empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// The one selector, looked for under the names that the endpoint knows.
    pub(crate) fn selector(
        &self,
        client_id: &str,
        object_id: &[&str],
        resource_id: &str,
    ) -> Result<Option<Selector>, QueryError> {
        let client = self.filled(client_id).map(|v| Selector::Client(v.into()));
        let object = object_id
            .iter()
            .find_map(|n| self.filled(n))
            .map(|v| Selector::Object(v.into()));
        let resource = self
            .filled(resource_id)
            .map(|v| Selector::Resource(v.into()));
        let mut given = [client, object, resource].into_iter().flatten();
        match (given.next(), given.next()) {
            (_, Some(_)) => Err(QueryError::SeveralSelectors),
            (one, None) => Ok(one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_parameters_and_selectors_are_refused() {
        let twice = Query::parse(Some("api-version=1&API-VERSION=2")).unwrap_err();
        assert_eq!(twice, QueryError::Duplicate("api-version".into()));
        let query = Query::parse(Some("client_id=a&object_id=b")).unwrap();
        let selector = query.selector("client_id", &["object_id"], "msi_res_id");
        assert_eq!(selector, Err(QueryError::SeveralSelectors));
    }

    #[test]
    fn values_are_percent_decoded() {
        let query = Query::parse(Some("resource=https%3A%2F%2Fa.b%2F&client_id=")).unwrap();
        assert_eq!(query.get("resource"), Some("https://a.b/"));
        assert_eq!(query.selector("client_id", &[], "x"), Ok(None));
    }
}
