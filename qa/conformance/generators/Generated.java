package javax.annotation;

/** Annotation of generated classes, which the JDK no longer contains. */
public @interface Generated {
    String[] value();

    String date();

    String comments();
}
