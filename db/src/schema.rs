//! Diesel declarations of all tables.
//!
//! Generated from db/migrations by `cargo xtask schema generate`. Do not edit; add a migration instead.
//! ENUM columns are `Text`; the services map them to their own enums. Times are in UTC, amounts in cents.

#![expect(missing_docs, reason = "table! generates public items without documentation")]

diesel::table! {
    customers (id) {
        id -> Bigint,
        name -> Text,
        email -> Text,
        email_key -> Nullable<Text>,
        phone -> Nullable<Text>,
        version -> Bigint,
        created_at -> Datetime,
        updated_at -> Datetime,
        deleted_at -> Nullable<Datetime>,
    }
}

diesel::table! {
    customer_prefixes (prefix, customer_id) {
        prefix -> Text,
        customer_id -> Bigint,
    }
}

diesel::table! {
    idempotency_keys (scope, principal, key) {
        scope -> Text,
        principal -> Text,
        key -> Text,
        nonce -> Binary,
        request_hash -> Binary,
        status -> Text,
        target_type -> Nullable<Text>,
        target_id -> Nullable<Bigint>,
        response_status -> Nullable<Smallint>,
        response_body -> Nullable<Binary>,
        created_at -> Datetime,
        expires_at -> Datetime,
    }
}

diesel::table! {
    operators (id) {
        id -> Bigint,
        username -> Text,
        username_key -> Text,
        password_hash -> Text,
        role -> Text,
        active -> Bool,
        version -> Bigint,
        created_at -> Datetime,
        updated_at -> Datetime,
    }
}

diesel::table! {
    orders (id) {
        id -> Bigint,
        customer_id -> Bigint,
        status -> Text,
        total_cents -> Bigint,
        external_reference -> Nullable<Text>,
        created_at -> Datetime,
        confirmed_at -> Nullable<Datetime>,
        canceled_at -> Nullable<Datetime>,
        reserved_until -> Nullable<Datetime>,
        version -> Bigint,
        create_principal -> Text,
        create_key -> Nullable<Text>,
        create_hash -> Nullable<Binary>,
    }
}

diesel::table! {
    order_events (id) {
        id -> Bigint,
        order_id -> Bigint,
        from_status -> Nullable<Text>,
        to_status -> Text,
        principal -> Text,
        correlation_id -> Text,
        created_at -> Datetime,
    }
}

diesel::table! {
    products (id) {
        id -> Bigint,
        sku -> Text,
        name -> Text,
        price_cents -> Bigint,
        stock -> Bigint,
        version -> Bigint,
        created_at -> Datetime,
        updated_at -> Datetime,
    }
}

diesel::table! {
    order_items (order_id, product_id) {
        order_id -> Bigint,
        product_id -> Bigint,
        sku -> Text,
        name -> Text,
        qty -> Bigint,
        unit_price_cents -> Bigint,
        subtotal_cents -> Bigint,
    }
}

diesel::table! {
    product_prefixes (prefix, product_id) {
        prefix -> Text,
        product_id -> Bigint,
    }
}

diesel::table! {
    stock_movements (id) {
        id -> Bigint,
        product_id -> Bigint,
        delta -> Bigint,
        reason -> Text,
        reference -> Nullable<Text>,
        order_id -> Nullable<Bigint>,
        principal -> Text,
        created_at -> Datetime,
    }
}

diesel::joinable!(customer_prefixes -> customers (customer_id));
diesel::joinable!(orders -> customers (customer_id));
diesel::joinable!(order_events -> orders (order_id));
diesel::joinable!(order_items -> orders (order_id));
diesel::joinable!(order_items -> products (product_id));
diesel::joinable!(product_prefixes -> products (product_id));
diesel::joinable!(stock_movements -> orders (order_id));
diesel::joinable!(stock_movements -> products (product_id));

diesel::allow_tables_to_appear_in_same_query!(
    customers,
    customer_prefixes,
    idempotency_keys,
    operators,
    orders,
    order_events,
    products,
    order_items,
    product_prefixes,
    stock_movements,
);
