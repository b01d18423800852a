//! A signer that has its key in memory.

use async_trait::async_trait;
use mach_core::ports::{SignError, StatementSigner};
use mach_core::{Domain, OperatorId, SignedStatement, Statement};

use crate::bn254::{PublicKey, SecretKey};

/// Signs with a key in this process.
#[derive(Debug)]
pub struct LocalSigner {
    key: SecretKey,
    operator: OperatorId,
}

impl LocalSigner {
    /// A signer with this key.
    pub fn new(key: SecretKey) -> Self {
        let operator = key.public_key().operator_id();
        Self { key, operator }
    }

    /// The public half of the key.
    pub const fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }
}

#[async_trait]
impl StatementSigner for LocalSigner {
    fn operator(&self) -> OperatorId {
        self.operator
    }

    async fn sign(
        &self,
        statement: &Statement,
        domain: &Domain,
    ) -> Result<SignedStatement, SignError> {
        let signature = self.key.sign(statement.digest(domain));
        Ok(SignedStatement {
            statement: statement.clone(),
            domain: *domain,
            operator: self.operator,
            signature: signature.to_bytes(),
        })
    }
}
