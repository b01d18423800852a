//! Positional parameters.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::RpcError;

/// Most bytes of one request.
pub(crate) const MAX_REQUEST_BYTES: usize = 2 * 1024 * 1024;

/// Most parameters of a method.
const MAX_PARAMS: usize = 8;

/// The parameters of one request.
#[derive(Debug, Default)]
pub(crate) struct Params<'a> {
    values: Vec<&'a RawValue>,
}

impl<'a> Params<'a> {
    pub(crate) fn new(json: Option<&'a str>) -> Result<Self, RpcError> {
        let Some(json) = json
            .map(str::trim)
            .filter(|json| !json.is_empty() && *json != "null")
        else {
            return Ok(Self::default());
        };
        if json.len() > MAX_REQUEST_BYTES {
            return Err(RpcError::limit(format!("request has {} bytes", json.len())));
        }
        let values: Vec<&RawValue> =
            serde_json::from_str(json).map_err(|_| RpcError::params("params must be an array"))?;
        if values.len() > MAX_PARAMS {
            return Err(RpcError::params(format!(
                "too many arguments, want at most {MAX_PARAMS}"
            )));
        }
        Ok(Self { values })
    }

    /// The parameter at `index`.
    pub(crate) fn required<T: DeserializeOwned>(&self, index: usize) -> Result<T, RpcError> {
        self.optional(index)?
            .ok_or_else(|| RpcError::params(format!("missing value for required argument {index}")))
    }

    /// The parameter at `index`, unless it is missing or null.
    pub(crate) fn optional<T: DeserializeOwned>(
        &self,
        index: usize,
    ) -> Result<Option<T>, RpcError> {
        let Some(value) = self.values.get(index) else {
            return Ok(None);
        };
        serde_json::from_str(value.get())
            .map_err(|error| RpcError::params(format!("invalid argument {index}: {error}")))
    }

    /// Refuses a parameter that would change the answer and is not supported.
    pub(crate) fn refuse(&self, index: usize, what: &str) -> Result<(), RpcError> {
        match self.values.get(index).map(|value| value.get()) {
            None | Some("null" | "{}") => Ok(()),
            Some(_) => Err(RpcError::params(format!("{what} are not supported"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_positional_and_typed() {
        let params = Params::new(Some(r#"["a", null, 7]"#)).unwrap();
        assert_eq!(params.required::<String>(0).unwrap(), "a");
        assert_eq!(params.optional::<u64>(1).unwrap(), None);
        assert_eq!(params.required::<u64>(2).unwrap(), 7);
        assert_eq!(params.optional::<u64>(3).unwrap(), None);
        let missing = params.required::<u64>(1).unwrap_err();
        assert_eq!(missing.message, "missing value for required argument 1");
        assert_eq!(params.required::<u64>(0).unwrap_err().code, -32602);
    }

    #[test]
    fn what_is_not_a_short_array_is_refused() {
        assert_eq!(Params::new(Some("{}")).unwrap_err().code, -32602);
        assert_eq!(
            Params::new(Some("[1,1,1,1,1,1,1,1,1]")).unwrap_err().code,
            -32602
        );
        let long = format!("[\"{}\"]", "a".repeat(MAX_REQUEST_BYTES));
        assert_eq!(Params::new(Some(&long)).unwrap_err().code, -32005);
        assert!(
            Params::new(None)
                .unwrap()
                .optional::<u64>(0)
                .unwrap()
                .is_none()
        );
    }
}
