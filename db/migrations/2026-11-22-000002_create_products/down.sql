DROP TABLE product_prefixes;
DROP TABLE products;
