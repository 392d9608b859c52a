// Shows the document of the service that this page came from. What it looks like is page.css, and Swagger UI's own style.

// The document names where a local system listens. "Try it out" asks whoever served the page, wherever that is.
const servedFromHere = (document) => ({ ...document, servers: [{ url: location.origin }] });

// Swagger UI fills every field with its example, and nobody's list goes on from the example of a cursor. What may be left
// out starts empty, and its example moves into the text.
function emptied(parameter) {
  if (parameter.required || parameter.$ref) return parameter;
  const { example, description = "" } = parameter;
  const told = example ? `${description}\n\nExample: \`${example}\`` : description;
  return { ...parameter, description: told, example: "" };
}

const optionalFieldsEmpty = ({ paths, components, ...document }) => ({
  ...document,
  components: { ...components, parameters: mapValues(components?.parameters ?? {}, emptied) },
  paths: mapValues(paths, (path) => mapValues(path, withFieldsEmpty)),
});

const withFieldsEmpty = (operation) =>
  operation.parameters ? { ...operation, parameters: operation.parameters.map(emptied) } : operation;

const mapValues = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));

// A plugin of Swagger UI's: what it does with every document that it has read.
const asShownHere = {
  statePlugins: {
    spec: {
      wrapActions: {
        updateJsonSpec: (update) => (document) => {
          window.document.title = document.info.title;
          return update(optionalFieldsEmpty(servedFromHere(document)));
        },
      },
    },
  },
};

SwaggerUIBundle({
  dom_id: "#document",
  url: "/openapi.json",
  plugins: [asShownHere],
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  // The document is nothing for a validator on the internet.
  validatorUrl: null,
});
