//! Signature V1: HMAC-SHA1 over the sorted, percent-encoded parameters (dossier 5.1).
