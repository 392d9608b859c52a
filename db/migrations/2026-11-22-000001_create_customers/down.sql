DROP TABLE customer_prefixes;
DROP TABLE customers;
