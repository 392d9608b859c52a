// Shows the OpenAPI document of the service that serves this page. Styles are in page.css and Swagger UI's style sheet.

// The servers of the document are those of a local system. "Try it out" has to send requests to the page's origin
// instead.
const withPageOrigin = (document) => ({ ...document, servers: [{ url: location.origin }] });

// Swagger UI prefills every field with its example, but the example of a cursor is not a valid one. Optional fields
// start empty, and their examples move into the description.
function withoutExample(parameter) {
  if (parameter.required || parameter.$ref) return parameter;
  const { example, description = "" } = parameter;
  const text = example ? `${description}\n\nExample: \`${example}\`` : description;
  return { ...parameter, description: text, example: "" };
}

const withoutOptionalExamples = ({ paths, components, ...document }) => ({
  ...document,
  components: { ...components, parameters: mapValues(components?.parameters ?? {}, withoutExample) },
  paths: mapValues(paths, (path) => mapValues(path, withoutParameterExamples)),
});

const withoutParameterExamples = (operation) =>
  operation.parameters ? { ...operation, parameters: operation.parameters.map(withoutExample) } : operation;

const mapValues = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));

// A Swagger UI plugin that transforms the document after it is loaded.
const adaptDocument = {
  statePlugins: {
    spec: {
      wrapActions: {
        updateJsonSpec: (update) => (document) => {
          window.document.title = document.info.title;
          return update(withoutOptionalExamples(withPageOrigin(document)));
        },
      },
    },
  },
};

SwaggerUIBundle({
  dom_id: "#document",
  url: "/openapi.json",
  plugins: [adaptDocument],
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  // Do not send the document to the public validator.
  validatorUrl: null,
});
