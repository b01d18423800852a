//! A signer that has its key in memory.

use async_trait::async_trait;
use mach_core::ports::{SignError, StatementSigner};
use mach_core::{Bn254, Domain, OperatorId, SignedStatement, Statement};

use crate::{Scheme, SecretKey, ValidKey};

/// Signs with a key in this process.
#[derive(Debug)]
pub struct LocalSigner<S: Scheme = Bn254> {
    key: SecretKey<S>,
}

impl<S: Scheme> LocalSigner<S> {
    /// A signer with this key.
    pub const fn new(key: SecretKey<S>) -> Self {
        Self { key }
    }

    /// The public half of the key.
    pub const fn public_key(&self) -> &ValidKey<S> {
        self.key.public_key()
    }
}

#[async_trait]
impl<S: Scheme> StatementSigner<S> for LocalSigner<S> {
    fn operator(&self) -> OperatorId {
        self.public_key().operator_id()
    }

    async fn sign(
        &self,
        statement: &Statement,
        domain: &Domain,
    ) -> Result<SignedStatement<S>, SignError> {
        let signature = self.key.sign(statement.digest(domain));
        Ok(SignedStatement {
            statement: statement.clone(),
            domain: *domain,
            operator: self.operator(),
            signature: signature.to_bytes(),
        })
    }
}
