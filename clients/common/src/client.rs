//! Macro that defines the handwritten part of each generated client.

/// Defines the constructor of a generated client, the `rows` method of each list, and a test that every list of the
/// OpenAPI document has this method.
#[macro_export]
macro_rules! client {
    ($document:literal: $($list:ident of $row:ident),*) => {
        impl Client {
            /// Creates a client for the service at `base`, such as `http://127.0.0.1:3001`, without sending a request.
            /// All clients in the process share one connection pool.
            ///
            /// # Errors
            ///
            /// Returns an error if `base` is not an http or https URL, or TLS cannot be initialized.
            pub fn connect(base: &str, outbound: $crate::Outbound) -> Result<Self, $crate::ConnectError> {
                let (base, http) = $crate::connect(base)?;
                Ok(Self::new_with_client(base, http, outbound))
            }
        }

        impl ::progenitor_client::ClientHooks<$crate::Outbound> for Client {
            async fn exec(
                &self,
                request: ::reqwest::Request,
                info: &::progenitor_client::OperationInfo,
            ) -> ::reqwest::Result<::reqwest::Response> {
                use ::progenitor_client::ClientInfo;
                let service = env!("CARGO_PKG_NAME").trim_end_matches("-client");
                $crate::execute(self.client(), service, info.operation_id, request).await
            }
        }

        $(impl<'a> builder::$list<'a> {
            /// Streams all rows of the list, page by page, with the parameters set so far. Failed page requests are
            /// retried according to `retry`, because reads are repeatable. A fault ends the stream.
            pub fn rows(self, retry: $crate::Retry) -> $crate::Rows<'a, types::$row, types::Error> {
                $crate::rows(retry, self, Self::cursor, async |list: Self| {
                    let page = $crate::send(list.send()).await?.into_inner();
                    Ok($crate::Page { rows: page.data, next_cursor: page.next_cursor, has_more: page.has_more })
                })
            }
        })*

        #[cfg(test)]
        mod lists {
            #[test]
            fn every_list_of_the_document_has_rows() {
                let document: serde_json::Value = serde_json::from_str(include_str!($document)).unwrap();
                let has_cursor = |operation: &&serde_json::Value| {
                    operation["parameters"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "cursor"))
                };
                let operations = document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
                let listed = operations.filter(has_cursor).map(|list| list["operationId"].as_str().unwrap().replace('_', ""));
                let mut listed: Vec<_> = listed.collect();
                let mut defined: Vec<String> = vec![$(stringify!($list).to_lowercase()),*];
                listed.sort_unstable();
                defined.sort_unstable();
                assert_eq!(defined, listed, "the lists of client_common::client!");
            }
        }
    };
}
