//! What is written by hand of every generated client, once.

/// Defines how a generated client is made and, for each of its lists, `rows`; and a test that no list of the document was
/// forgotten.
#[macro_export]
macro_rules! client {
    ($document:literal: $($list:ident of $row:ident),*) => {
        impl Client {
            /// A client of the service at `base`, as `http://127.0.0.1:3001`, on the connections that all clients of
            /// this process share. Nothing is sent yet.
            ///
            /// # Errors
            ///
            /// Where `base` is no URL of http or https, or no TLS can be set up on this machine.
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
            /// Every row of the list, page by page; what was set before goes for each page. Reading is repeatable, so
            /// each page is asked for again as `retry` says. A fault ends the list.
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
